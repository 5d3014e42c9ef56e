# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file system that a running container has mounted: found without trusting what is in it, and changed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from . import mount, process
from .errors import KernelError
from .mountinfo import Mount, read_mountinfo
from .openat2 import openat2


def tmpfs_used(pid: int, started: int | None, path: str, source: str) -> int:
    """Bytes that are used in the tmpfs at an absolute path in the root of exactly the process that began at
    ``started``. Raises KernelError, as resize_tmpfs does."""
    with _tmpfs(pid, started, path, source) as fd:
        found = os.fstatvfs(fd)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


def resize_tmpfs(pid: int, started: int | None, path: str, source: str, size: int) -> None:
    """Give that tmpfs another size in bytes, which the kernel rounds up to whole pages (tmpfs(5)).

    Raises KernelError: EINVAL where it holds more than that already, ESRCH where the process has ended, ENODEV where
    something else than the tmpfs of that ``source`` is there.
    """
    with _tmpfs(pid, started, path, source) as fd:
        context = mount.fspick(fd)
        try:
            mount.fsconfig_set_string(context, "size", str(size))
            mount.fsconfig_reconfigure(context)
        except KernelError as error:
            error.path = path
            if error.errno == errno.EINVAL:
                error.hint = f"The files in it need more than {size} bytes: remove some, or restart the container"
            raise
        finally:
            os.close(context)


def identity(pid: int, started: int | None, wanted: Mount) -> tuple[int, int] | None:
    """Device and inode of the root of that mount, as stat(2) tells them, in exactly the process that began at
    ``started``; None where its target leads elsewhere. Raises KernelError."""
    with process.entry(pid, started) as directory:
        root = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            fd = openat2(root, wanted.target, os.O_PATH | os.O_NOFOLLOW)
        finally:
            os.close(root)
    try:
        found = os.fstat(fd)
        return (found.st_dev, found.st_ino) if mount.mount_id(fd) == wanted.mount_id else None
    finally:
        os.close(fd)


@contextlib.contextmanager
def _tmpfs(pid: int, started: int | None, path: str, source: str) -> Iterator[int]:
    """A descriptor of its root. Whatever the container has made of the path, it leads to that very mount or nowhere."""
    with process.entry(pid, started) as directory:
        mounts = {found.mount_id: found for found in read_mountinfo(directory=directory)}
        try:
            root = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        except OSError as error:
            raise KernelError.wrap(error, "open", f"/proc/{pid}/root") from error
    try:
        fd = openat2(root, path, os.O_PATH | os.O_DIRECTORY)
    finally:
        os.close(root)
    try:
        found = mounts.get(mount.mount_id(fd))
        if found is None or (found.fstype, found.source, found.target) != ("tmpfs", source.encode(), path.encode()):
            raise KernelError(errno.ENODEV, "fspick", path, f"There is no tmpfs {source} at that place any more")
        yield fd
    finally:
        os.close(fd)
