# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mounts: the mount API of Linux 5.2 (fsopen and its siblings), mount(2), umount2(2), pivot_root(2).

Thin functions named after the system calls. Every descriptor they return is close-on-exec and the caller's to close;
a detached mount lives as long as its descriptor, or until move_mount attaches it. Paths may be str or bytes.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Union

from . import libc
from .errors import KernelError

Path = Union[str, bytes]

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSPICK_CLOEXEC = 0x1
FSPICK_EMPTY_PATH = 0x8
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_SET_FD = 5
FSCONFIG_CMD_CREATE = 6
FSCONFIG_CMD_RECONFIGURE = 7
#: fsconfig copies a string parameter into 256 bytes, its NUL included (fs/fsopen.c).
FSCONFIG_STRING_MAX = 255
#: mount(2) copies one page of options and cuts the rest off without an error.
MOUNT_DATA_MAX = 4095

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x0
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_NOSYMFOLLOW = 0x100
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_REC = 0x4000
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

#: Propagation types by the names of mount_namespaces(7).
PROPAGATION = {"private": MS_PRIVATE, "shared": MS_SHARED, "slave": MS_SLAVE, "unbindable": MS_UNBINDABLE}

_ATTR_TO_MS = {
    MOUNT_ATTR_RDONLY: MS_RDONLY,
    MOUNT_ATTR_NOSUID: MS_NOSUID,
    MOUNT_ATTR_NODEV: MS_NODEV,
    MOUNT_ATTR_NOEXEC: MS_NOEXEC,
    MOUNT_ATTR_NODIRATIME: MS_NODIRATIME,
    MOUNT_ATTR_NOSYMFOLLOW: MS_NOSYMFOLLOW,
}
_ATIME_TO_MS = {
    MOUNT_ATTR_RELATIME: MS_RELATIME,
    MOUNT_ATTR_NOATIME: MS_NOATIME,
    MOUNT_ATTR_STRICTATIME: MS_STRICTATIME,
}


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def _raw(path: Path) -> bytes:
    return os.fsencode(path)


def fsopen(fstype: str) -> int:
    """fsopen(2): a new file-system context. Raises KernelError (ENODEV: the kernel has no such file system)."""
    return libc.syscall("fsopen", libc.NR_fsopen, fstype.encode(), FSOPEN_CLOEXEC, path=fstype)


def fspick(fd: int) -> int:
    """fspick(2): the context of the file system whose mount has its root at a descriptor (O_PATH will do), to change
    its options with fsconfig_reconfigure(). Raises KernelError."""
    return libc.syscall("fspick", libc.NR_fspick, fd, b"", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)


def fsconfig_set_flag(fs_fd: int, key: str) -> None:
    """fsconfig(2) FSCONFIG_SET_FLAG. Raises KernelError with the context's log."""
    _fsconfig(fs_fd, FSCONFIG_SET_FLAG, key, None, 0)


def fsconfig_set_string(fs_fd: int, key: str, value: Path) -> None:
    """fsconfig(2) FSCONFIG_SET_STRING; at most FSCONFIG_STRING_MAX bytes. Raises KernelError with the context's log."""
    _fsconfig(fs_fd, FSCONFIG_SET_STRING, key, _raw(value), 0)


def fsconfig_set_fd(fs_fd: int, key: str, value: int) -> None:
    """fsconfig(2) FSCONFIG_SET_FD. Raises KernelError with the context's log."""
    _fsconfig(fs_fd, FSCONFIG_SET_FD, key, None, value)


def fsconfig_create(fs_fd: int) -> None:
    """fsconfig(2) FSCONFIG_CMD_CREATE: make the superblock. Raises KernelError with the context's log."""
    _fsconfig(fs_fd, FSCONFIG_CMD_CREATE, None, None, 0)


def fsconfig_reconfigure(fs_fd: int) -> None:
    """fsconfig(2) FSCONFIG_CMD_RECONFIGURE: give the options that were set to the file system, as a remount does.

    Others stay as they are, and so do the attributes of its mounts. Raises KernelError with the context's log.
    """
    _fsconfig(fs_fd, FSCONFIG_CMD_RECONFIGURE, None, None, 0)


def _fsconfig(fs_fd: int, command: int, key: str | None, value: bytes | None, aux: int) -> None:
    try:
        raw_key = key.encode() if key is not None else None
        libc.syscall("fsconfig", libc.NR_fsconfig, fs_fd, command, raw_key, value, aux, path=value or raw_key)
    except KernelError as error:
        error.detail = fs_log(fs_fd)
        raise


def fs_log(fs_fd: int) -> str:
    """The kernel's own words in a file-system context, one message a read(2); empty when it said nothing."""
    messages = []
    while True:
        try:
            # Each message begins with its level and a space: "e overlay: ...".
            messages.append(os.read(fs_fd, 4096).decode("utf-8", "replace")[2:].strip())
        except OSError:
            return "; ".join(messages)


def fsmount(fs_fd: int, attributes: int = 0) -> int:
    """fsmount(2): the context's superblock as a detached mount; ``attributes`` are MOUNT_ATTR_*."""
    try:
        return libc.syscall("fsmount", libc.NR_fsmount, fs_fd, FSMOUNT_CLOEXEC, attributes)
    except KernelError as error:
        error.detail = fs_log(fs_fd)
        raise


def open_tree(dir_fd: int, path: Path, clone: bool = True, recursive: bool = False) -> int:
    """open_tree(2): a detached copy of the mount (or part of it) at a path, or an O_PATH descriptor of it.

    An empty path means dir_fd itself. ``recursive`` copies the mounts below it too.
    """
    flags = OPEN_TREE_CLOEXEC | (OPEN_TREE_CLONE if clone else 0) | (AT_RECURSIVE if clone and recursive else 0)
    raw = _raw(path)
    return libc.syscall(
        "open_tree", libc.NR_open_tree, dir_fd, raw, flags | (0 if raw else AT_EMPTY_PATH), path=raw or None
    )


def move_mount(from_fd: int, from_path: Path, to_fd: int, to_path: Path) -> None:
    """move_mount(2): attach a detached mount, or move one. An empty path means the descriptor itself.

    With both paths empty nothing in the target's tree is resolved again: the way into a root nobody trusts.
    """
    source, target = _raw(from_path), _raw(to_path)
    flags = (0 if source else MOVE_MOUNT_F_EMPTY_PATH) | (0 if target else MOVE_MOUNT_T_EMPTY_PATH)
    libc.syscall("move_mount", libc.NR_move_mount, from_fd, source, to_fd, target, flags, path=target or None)


def mount_setattr(
    dir_fd: int,
    path: Path,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
    recursive: bool = False,
) -> None:
    """mount_setattr(2), Linux 5.12. An empty path means dir_fd; propagation is one of MS_PRIVATE, MS_SHARED, ...

    Raises KernelError (ENOSYS before 5.12).
    """
    raw = _raw(path)
    attr = _MountAttr(attr_set, attr_clr, propagation, userns_fd)
    flags = (0 if raw else AT_EMPTY_PATH) | (AT_RECURSIVE if recursive else 0)
    size = ctypes.sizeof(attr)
    libc.syscall("mount_setattr", libc.NR_mount_setattr, dir_fd, raw, flags, ctypes.byref(attr), size, path=raw or None)


def mount(source: Path | None, target: Path, fstype: str | None, flags: int = 0, data: bytes | None = None) -> None:
    """mount(2). Raises KernelError; E2BIG when ``data`` is longer than the kernel reads (it would cut it silently)."""
    if data is not None and len(data) > MOUNT_DATA_MAX:
        hint = f"mount(2) reads {MOUNT_DATA_MAX} bytes of options and these are {len(data)}"
        raise KernelError(errno.E2BIG, "mount", target, hint)
    raw_source = _raw(source) if source is not None else None
    raw_type = fstype.encode() if fstype is not None else None
    libc.call("mount", raw_source, _raw(target), raw_type, flags, data, path=target)


def umount2(target: Path, flags: int = UMOUNT_NOFOLLOW) -> None:
    """umount2(2): the topmost mount at that path. Raises KernelError (EBUSY: something uses it, EINVAL: no mount)."""
    libc.call("umount2", _raw(target), flags, path=target)


def pivot_root(new_root: Path, put_old: Path) -> None:
    """pivot_root(2); ``pivot_root(".", ".")`` stacks the old root on the new one for umount2(".", MNT_DETACH)."""
    libc.syscall("pivot_root", libc.number("pivot_root"), _raw(new_root), _raw(put_old), path=new_root)


def mount_flags(attributes: int) -> int:
    """The MS_* flags of mount(2) that mean the same as MOUNT_ATTR_* attributes."""
    flags = _ATIME_TO_MS[attributes & MOUNT_ATTR__ATIME]
    return flags | sum(ms for attr, ms in _ATTR_TO_MS.items() if attributes & attr)


def set_attributes(target: Path, attributes: int) -> None:
    """Give the mount at a path exactly these attributes: mount_setattr(2), before Linux 5.12 a bind remount."""
    known = sum(_ATTR_TO_MS) | MOUNT_ATTR__ATIME
    try:
        mount_setattr(AT_FDCWD, target, attributes, known & ~attributes | MOUNT_ATTR__ATIME)
    except KernelError as error:
        if error.errno != errno.ENOSYS:
            raise
        mount(None, target, None, MS_REMOUNT | MS_BIND | mount_flags(attributes))


def set_propagation(target: Path, propagation: str, recursive: bool = False) -> None:
    """Change how mounts spread from and to the mount at a path; a name of PROPAGATION, mount_namespaces(7)."""
    mount(None, target, None, PROPAGATION[propagation] | (MS_REC if recursive else 0))


def bind(
    source_fd: int, target_fd: int, attributes: int = 0, recursive: bool = False, propagation: str | None = None
) -> None:
    """Bind-mount what one descriptor shows onto another (both O_PATH will do); no path is resolved.

    ``attributes`` (MOUNT_ATTR_*) are added to the copy and, when recursive, to the mounts below it, before anyone
    can see it. Raises KernelError.
    """
    fd = open_tree(source_fd, b"", recursive=recursive)
    try:
        if attributes or propagation:
            how = PROPAGATION[propagation] if propagation else 0
            clear = MOUNT_ATTR__ATIME if attributes & MOUNT_ATTR__ATIME else 0
            mount_setattr(fd, b"", attributes, clear, how, recursive=recursive)
        move_mount(fd, b"", target_fd, b"")
    finally:
        os.close(fd)


def mount_id(fd: int) -> int:
    """The ID (mountinfo's first field) of the mount a descriptor was opened through, from its fdinfo."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as handle:
        fields = dict(line.split(b":", 1) for line in handle.read().splitlines() if b":" in line)
    return int(fields[b"mnt_id"])
