# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel parameters below /proc/sys, also those of a network namespace. sysctl(8), proc_sys(5)."""

from __future__ import annotations

import errno
import os

from . import namespaces
from .errors import KernelError
from .namespaces import HOST, NetnsRef, inside_netns
from .sysctl_names import path_of

#: Of others, under the name of what they are about.
__all__ = ["path_of"]


def normalise(value: str) -> str:
    """Words separated by one space: the kernel prints tabs where one writes spaces."""
    return " ".join(value.split())


def read(name: str, netns: NetnsRef = HOST) -> str | None:
    """A parameter's value with its white space normalised, None where the kernel has none. Raises KernelError."""
    with inside_netns(netns):
        return _read(path_of(name))


def read_many(names: tuple[str, ...], netns: NetnsRef = HOST) -> dict[str, str | None]:
    """Several parameters of one namespace."""
    with inside_netns(netns):
        return {name: _read(path_of(name)) for name in names}


def read_fresh(names: tuple[str, ...]) -> dict[str, str | None]:
    """What these parameters are in a network namespace that has just been made. Raises KernelError."""
    home = namespaces.open_netns(HOST)
    try:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        try:
            return {name: _read(path_of(name)) for name in names}
        finally:
            namespaces.setns(home, namespaces.CLONE_NEWNET)
    finally:
        os.close(home)


def entries(name: str, netns: NetnsRef = HOST) -> tuple[str, ...]:
    """The names in a directory of parameters of the calling process's namespaces, or of a network namespace, such as
    the interfaces in net/ipv4/conf. Raises KernelError."""
    path = path_of(name)
    try:
        with inside_netns(netns):
            return tuple(sorted(os.listdir(path)))
    except KernelError:
        raise
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error


def _read(path: str) -> str | None:
    try:
        with open(path, "rb") as handle:
            return normalise(handle.read().decode("utf-8", "surrogateescape"))
    except FileNotFoundError:
        return None
    except OSError as error:
        # A write-only parameter (net.ipv4.route.flush) exists but tells nothing, as does stable_secret until it is set.
        if error.errno in (errno.EACCES, errno.EPERM, errno.EIO):
            return ""
        raise KernelError.wrap(error, "open", path) from error


def write(name: str, value: str, netns: NetnsRef = HOST) -> None:
    """Set a parameter, of the calling process's namespaces or in a network namespace. Raises KernelError."""
    path = path_of(name)
    with inside_netns(netns):
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, value.encode("utf-8", "surrogateescape") + b"\n")
            finally:
                os.close(fd)
        except OSError as error:
            hint = "The kernel has no such parameter" if error.errno == errno.ENOENT else f"The value was {value!r}"
            raise KernelError.wrap(error, "write", path, hint) from error
