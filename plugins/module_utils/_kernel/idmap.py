# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ID-mapped mounts: files of a layer show other owners without being changed (mount_setattr(2), user_namespaces(7))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from . import libc, mount
from .errors import KernelError

CLONE_NEWUSER = 0x10000000
_PR_GET_SECUREBITS, _PR_SET_SECUREBITS = 27, 28
_SECBIT_NO_SETUID_FIXUP = 0x4
#: A hole-free range of one user namespace: the first ID on the host, how many IDs follow.
IdRange = tuple[int, int]


def user_namespace(host_id: int, size: int) -> int:
    """A descriptor of a new user namespace in which IDs 0..size-1 are the host's host_id..host_id+size-1.

    Made by a child that unshares and ends at once; the descriptor keeps the namespace. Raises KernelError.
    """
    ready_read, ready_write = os.pipe()
    hold_read, hold_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _namespace_child(ready_write, hold_read, (ready_read, hold_write))
    os.close(ready_write)
    os.close(hold_read)
    try:
        answer = os.read(ready_read, 16)
        if answer != b"0":
            hint = "User namespaces are off or used up: see sysctl user.max_user_namespaces"
            raise KernelError(int(answer or b"5"), "unshare", hint=hint)
        for name in ("uid_map", "gid_map"):
            _write_map(f"/proc/{pid}/{name}", host_id, size)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(hold_write)
        os.close(ready_read)
        os.waitpid(pid, 0)


def _namespace_child(ready: int, hold: int, inherited: tuple[int, ...]) -> None:
    """The child: never returns. Closing the parent's ends lets it end when the parent is gone."""
    try:
        for fd in inherited:
            os.close(fd)
        try:
            libc.call("unshare", CLONE_NEWUSER)
            os.write(ready, b"0")
        except KernelError as error:
            os.write(ready, b"%d" % (error.errno or 5))
        os.read(hold, 1)
    finally:
        os._exit(0)


def _write_map(path: str, host_id: int, size: int) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, f"0 {host_id} {size}".encode())
        finally:
            os.close(fd)
    except OSError as error:
        hint = f"the ID range {host_id}..{host_id + size - 1} cannot be mapped"
        raise KernelError.wrap(error, "write", path, hint) from error


def clone(dir_fd: int, path: mount.Path, userns_fd: int | None, recursive: bool = False) -> int:
    """A detached copy of the mount at a path, its IDs mapped by that user namespace (None: as they are).

    Raises KernelError: EINVAL where the file system cannot be ID-mapped (overlayfs itself never, tmpfs from Linux
    6.3, ext4 and xfs from 5.12/5.15, btrfs 5.15).
    """
    fd = mount.open_tree(dir_fd, path, recursive=recursive)
    if userns_fd is None:
        return fd
    try:
        mount.mount_setattr(fd, b"", mount.MOUNT_ATTR_IDMAP, userns_fd=userns_fd, recursive=recursive)
    except KernelError as error:
        os.close(fd)
        hint = "This kernel cannot ID-map the file system of that directory (tmpfs: 6.3, ext4: 5.12, xfs, btrfs: 5.15)"
        raise KernelError(error.errno or 22, "mount_setattr", os.fsencode(path) or None, hint) from error
    return fd


@contextlib.contextmanager
def creating_as(owner: os.stat_result | None) -> Iterator[None]:
    """Make new files as that owner, with every capability kept (setfsuid(2), capabilities(7) on securebits).

    An overlay does its own work on the upper layer (whiteouts, copies) as whoever mounted it, and host root has no
    place in the ID map of an ID-mapped upper layer: EOVERFLOW, and the kernel would mount it read-only without an
    error. So whoever mounts must, for that moment, be someone the map knows. None changes nothing.
    """
    if owner is None:
        yield
        return
    securebits = libc.call("prctl", _PR_GET_SECUREBITS, 0, 0, 0, 0)
    libc.call("prctl", _PR_SET_SECUREBITS, securebits | _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    # These two return the ID that was in force, never an error.
    uid, gid = libc.call("setfsuid", owner.st_uid), libc.call("setfsgid", owner.st_gid)
    try:
        yield
    finally:
        libc.call("setfsuid", uid)
        libc.call("setfsgid", gid)
        libc.call("prctl", _PR_SET_SECUREBITS, securebits, 0, 0, 0)
