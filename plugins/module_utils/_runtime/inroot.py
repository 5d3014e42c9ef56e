# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths inside a root that nobody trusts: found and made through descriptors, never by joining strings.

Every look-up is openat2(2) with RESOLVE_IN_ROOT: a symlink of the image, also an absolute one or one with "..", ends
inside the root. What is done to a place is done to the descriptor that was found, not to a path looked up again.
"""

from __future__ import annotations

import errno
import os

from .._kernel import openat2
from .._kernel.errors import KernelError

#: For what the kernel itself shows (procfs, sysfs, devpts): no symlink may stand in the way, as an image can hold one.
#: A mount may: only config.json makes those, and what is looked for can be below one (/dev/pts, /proc/sys).
STRICT = openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_SYMLINKS


def find(root_fd: int, path: str) -> int | None:
    """An O_PATH descriptor of what is at that path in the root, None where nothing is. Raises KernelError."""
    try:
        return openat2.openat2(root_fd, path, os.O_PATH)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def directory(root_fd: int, path: str, mode: int = 0o755) -> int:
    """An O_PATH descriptor of the directory at that path; it and its parents are made where missing.

    Raises KernelError (ENOTDIR, EROFS, ELOOP for a symlink to nowhere...).
    """
    found = os.dup(root_fd)
    so_far = ""
    for name in _parts(path):
        so_far += "/" + name
        try:
            try:
                below = openat2.openat2(root_fd, so_far, os.O_PATH | os.O_DIRECTORY)
            except KernelError as error:
                if error.errno in (errno.EXDEV, errno.ELOOP):
                    error.hint = "A symlink there leads out of the root"
                if error.errno != errno.ENOENT:
                    raise
                _mkdir(found, name, mode, so_far)
                below = openat2.openat2(root_fd, so_far, os.O_PATH | os.O_DIRECTORY)
        finally:
            os.close(found)
        found = below
    return found


def file(root_fd: int, path: str, mode: int = 0o644) -> int:
    """An O_PATH descriptor of the file at that path; an empty one and its parents are made where missing."""
    found = find(root_fd, path)
    if found is not None:
        return found
    parts = _parts(path)
    parent = directory(root_fd, "/".join(parts[:-1]))
    try:
        # The parent's descriptor and one name: nothing that can be redirected. O_EXCL refuses a planted symlink.
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(parts[-1], flags, mode, dir_fd=parent))
    except OSError as error:
        raise KernelError.wrap(error, "open", path, "It is a mount point that the root does not have") from None
    finally:
        os.close(parent)
    return openat2.openat2(root_fd, path, os.O_PATH)


def parent(root_fd: int, path: str) -> tuple[int, str]:
    """The directory that holds the last name of a path (made where missing), and that name."""
    parts = _parts(path)
    return directory(root_fd, "/".join(parts[:-1])), parts[-1]


def _parts(path: str) -> list[str]:
    return [part for part in os.path.normpath("/" + path.lstrip("/")).split("/") if part]


def _mkdir(parent_fd: int, name: str, mode: int, path: str) -> None:
    try:
        os.mkdir(name, mode, dir_fd=parent_fd)
    except FileExistsError:
        # There is something, yet it leads nowhere: a dangling symlink. Making what it points to is not our business.
        raise KernelError(errno.ELOOP, "mkdir", path, "A symlink there points to nothing inside the root") from None
    except OSError as error:
        raise KernelError.wrap(error, "mkdir", path, "It is a mount point that the root does not have") from None
