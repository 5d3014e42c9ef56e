# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces: what they are known by, how to open and to enter them. namespaces(7), setns(2), ioctl_ns(2)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from . import locations, process
from .clone import CLONE_NEWNET, CLONE_NEWUSER, setns, unshare
from .errors import KernelError
from .loopback import interface_up

#: Of others, under the name of what they are about.
__all__ = ["CLONE_NEWNET", "CLONE_NEWUSER", "interface_up", "setns", "unshare"]

_NS_GET_USERNS = 0xB701
_NS_GET_NSTYPE = 0xB703
_SO_NETNS_COOKIE = 71


@dataclass(frozen=True)
class NamespaceId:
    """What a namespace is known by while it lives: device and inode number of its nsfs file."""

    device: int
    inode: int


@dataclass(frozen=True)
class NetnsRef:
    """Which network namespace is meant: kind is host, name, path or pid.

    ``value`` is the name, the path or the PID, which is only a process's together with its ``start_time``.
    The host's is the one that the calling process lives in.
    """

    kind: str = "host"
    value: str = ""
    start_time: int | None = None

    @classmethod
    def named(cls, name: str) -> NetnsRef:
        return cls("name", name)

    @classmethod
    def at(cls, path: str) -> NetnsRef:
        return cls("path", path)

    @classmethod
    def of_process(cls, pid: int, start_time: int | None) -> NetnsRef:
        return cls("pid", str(pid), start_time)

    def __str__(self) -> str:
        return {
            "host": "the host",
            "name": f"netns {self.value}",
            "path": f"netns {self.value}",
            "pid": f"the netns of process {self.value}",
        }[self.kind]


HOST = NetnsRef()


def named_path(name: str) -> str:
    """Where a named network namespace is found, ip-netns(8)."""
    return f"{locations.NETNS}/{name}"


def identity(path: str) -> NamespaceId | None:
    """What the namespace at a path is known by; None where there is no namespace. Raises KernelError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error
    try:
        return None if kind_of(fd) is None else identity_of(fd)
    finally:
        os.close(fd)


def identity_of_process(pid: int, started: int | None, name: str) -> NamespaceId | None:
    """What a namespace of exactly that process is known by, by its name in /proc/PID/ns; None where the process has
    ended. Raises KernelError."""
    try:
        fd = process.open_namespace(pid, started, name)
    except KernelError as error:
        if error.errno in (errno.ESRCH, errno.ENOENT):
            return None
        raise
    try:
        return identity_of(fd)
    finally:
        os.close(fd)


def identity_of(fd: int) -> NamespaceId:
    """The same for an open namespace."""
    found = os.fstat(fd)
    return NamespaceId(found.st_dev, found.st_ino)


def mark_of_netns(fd: int) -> str:
    """What tells an open network namespace from any other of this boot, those that are gone included.

    The kernel gives the number of its file to the next namespace; its cookie (socket(7), Linux 5.14) to none. Where
    there are no cookies it is the number. Raises KernelError.
    """
    try:
        with _inside(fd), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            cookie = own.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
    except KernelError:
        raise
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise KernelError.wrap(error, "getsockopt SO_NETNS_COOKIE") from error
        return str(os.fstat(fd).st_ino)
    return f"cookie {int.from_bytes(cookie, sys.byteorder)}"


def kind_of(fd: int) -> int | None:
    """The CLONE_NEW* flag of the namespace behind a descriptor, None where it is no namespace."""
    try:
        return int(fcntl.ioctl(fd, _NS_GET_NSTYPE))
    except OSError:
        return None


def open_netns(ref: NetnsRef) -> int:
    """A descriptor of that network namespace.

    Raises KernelError: ENOENT where there is none, EINVAL where the file is no network namespace, ESRCH where the
    process is gone or its PID belongs to another one now.
    """
    if ref.kind == "pid":
        return process.open_namespace(int(ref.value), ref.start_time, "net")
    # Not /proc/self: a thread may live in another namespace than the process's first one.
    paths = {"host": "/proc/thread-self/ns/net", "name": named_path(ref.value), "path": ref.value}
    path = paths[ref.kind]
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error
    if kind_of(fd) != CLONE_NEWNET:
        os.close(fd)
        raise KernelError(errno.EINVAL, "setns", path, "This is not a network namespace")
    return fd


def netns_identity(ref: NetnsRef) -> NamespaceId | None:
    """What that network namespace is known by, None where it does not exist (any more). Raises KernelError."""
    try:
        fd = open_netns(ref)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH, errno.EINVAL):
            return None
        raise
    try:
        return identity_of(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def inside_netns(ref: NetnsRef) -> Iterator[None]:
    """Run the block in that network namespace and come back. A socket opened inside stays bound to it."""
    if ref.kind == "host":
        yield
        return
    there = open_netns(ref)
    try:
        with _inside(there):
            yield
    finally:
        os.close(there)


@contextlib.contextmanager
def _inside(fd: int) -> Iterator[None]:
    home = open_netns(HOST)
    try:
        setns(fd, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


@dataclass(frozen=True)
class Owner:
    """The user namespace that owns a namespace; ``idmap`` is (host ID, size) of what its ID 0 maps to.

    ``idmap`` is None where it is our own user namespace, or where its map is not one range beginning at 0.
    """

    user_namespace: NamespaceId
    ours: bool
    idmap: tuple[int, int] | None


def owner_of(fd: int) -> Owner:
    """NS_GET_USERNS, ioctl_ns(2). Raises KernelError."""
    try:
        userns = int(fcntl.ioctl(fd, _NS_GET_USERNS))
    except OSError as error:
        raise KernelError.wrap(error, "ioctl NS_GET_USERNS") from error
    try:
        known = identity_of(userns)
        ours = known == identity("/proc/self/ns/user")
        return Owner(known, ours, None if ours else read_idmap(userns))
    finally:
        os.close(userns)


def read_idmap(userns: int) -> tuple[int, int] | None:
    """(host ID, size) of a user namespace's map. Only a process inside can be asked, so one enters and tells."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            setns(userns, CLONE_NEWUSER)
            with open("/proc/self/uid_map", "rb") as handle:
                os.write(writer, handle.read())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    lines = [tuple(map(int, line.split())) for line in text.splitlines()]
    return (lines[0][1], lines[0][2]) if len(lines) == 1 and lines[0][0] == 0 else None
