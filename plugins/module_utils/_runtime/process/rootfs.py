# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container's own view of files: everything that is mounted into its root. config.md (Mounts), config-linux.md.

Runs in the process that becomes init; who attaches what it makes: mounting.py.
"""

from __future__ import annotations

import errno
import os

from ..._kernel import mount, openat2
from ..._kernel.errors import KernelError
from ..bundle.mount_entry import MountEntry
from ..bundle.spec import Spec
from ..errors import RuntimeFailure
from . import inroot
from .mounting import Helped, Here, Placed
from .prepare import Prepared, apply_attributes

_PROC, _SYS = "/proc", "/sys"


def mount_all(hands: Here | Helped, spec: Spec, prepared: Prepared, own_cgroup: str | None) -> dict[str, int]:
    """Every entry of ``mounts``, in order; returns descriptors of procfs and sysfs by where they are mounted."""
    root_fd = prepared.root_tree
    seen: dict[str, int] = {}
    for index, entry in enumerate(spec.mounts):
        try:
            if entry.bind:
                target = _target(root_fd, entry, prepared.bind_is_directory[index])
                fd = prepared.binds.pop(index)
            else:
                fd = _file_system(entry, spec, own_cgroup)
                target = _target(root_fd, entry, True)
            try:
                hands.attach([Placed(fd, target, entry.destination)])
            finally:
                os.close(target)
        except KernelError as error:
            hint = error.hint or _advice(entry, error.errno or 0)
            said = KernelError(error.errno or 0, error.syscall, entry.destination, hint, error.detail)
            raise RuntimeFailure(f"{entry.prop} ({entry.kind or entry.bind} on {entry.destination}): {said}") from None
        if entry.destination in (_PROC, _SYS) and entry.kind in ("proc", "sysfs"):
            seen[entry.destination] = fd
        else:
            os.close(fd)
    return seen


def _target(root_fd: int, entry: MountEntry, is_directory: bool) -> int:
    if entry.kind in ("proc", "sysfs"):
        # Whatever is decided later by looking at /proc must be about the real one: no symlink on the way to it.
        inroot_fd = inroot.directory(root_fd, entry.destination)
        os.close(inroot_fd)
        relative = entry.destination.lstrip("/") or "."
        return openat2.openat2(root_fd, relative, os.O_PATH | os.O_DIRECTORY, resolve=inroot.STRICT)
    make = inroot.directory if is_directory else inroot.file
    return make(root_fd, entry.destination)


def _file_system(entry: MountEntry, spec: Spec, own_cgroup: str | None) -> int:
    """A detached mount of a new file system."""
    kind = entry.kind
    if kind in ("cgroup", "cgroup2"):
        if spec.namespace("cgroup") is None:
            # Without a cgroup namespace the file system would show the host's whole tree: show its own part of it.
            if own_cgroup is None:
                raise KernelError(errno.ENOENT, "mount", None, "The container has no cgroup to show")
            fd = mount.open_tree(mount.AT_FDCWD, own_cgroup)
            apply_attributes(fd, entry)
            return fd
        kind = "cgroup2"
    fs_fd = mount.fsopen(kind)
    try:
        mount.fsconfig_set_string(fs_fd, "source", entry.source)
        for option in entry.data:
            key, separator, value = option.partition("=")
            if separator:
                mount.fsconfig_set_string(fs_fd, key, value)
            else:
                mount.fsconfig_set_flag(fs_fd, key)
        mount.fsconfig_create(fs_fd)
        fd = mount.fsmount(fs_fd, entry.attributes[0])
    finally:
        os.close(fs_fd)
    if entry.propagation:
        apply_attributes(fd, entry)
    return fd


def _advice(entry: MountEntry, number: int) -> str:
    if entry.kind == "sysfs" and number == errno.EPERM:
        return (
            "sysfs shows the network namespace, so it can be mounted only where the container's user namespace owns "
            "that: give it a network namespace made inside it, or bind-mount /sys instead"
        )
    if entry.kind == "proc" and number == errno.EPERM:
        return (
            "A user namespace may mount it only of a process namespace that it owns, and only where nothing is mounted "
            "over the runtime's own /proc: give it a process namespace made inside it, or no user namespace"
        )
    return ""


def make_cwd(root_fd: int, cwd: str) -> None:
    """The working directory, made where missing (by the container's root, so it is nothing the image forbids)."""
    try:
        os.close(inroot.directory(root_fd, cwd))
    except KernelError as error:
        if error.errno != errno.EROFS:
            raise


def finish(spec: Spec) -> None:
    """What must come last: the root's own propagation, and what a copy of mounts does not keep (mounting.py)."""
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    word = spec.rootfs_propagation
    if word and word not in ("slave", "rslave"):
        _spread(root_fd, word)
    for entry in spec.mounts:
        if entry.propagation in ("unbindable", "runbindable"):
            place = inroot.find(root_fd, entry.destination)
            if place is not None:
                _spread(place, entry.propagation)
                os.close(place)
    os.close(root_fd)


def _spread(place: int, word: str) -> None:
    recursive, kind = word not in mount.PROPAGATION, word if word in mount.PROPAGATION else word[1:]
    mount.mount_setattr(place, b"", propagation=mount.PROPAGATION[kind], recursive=recursive)
