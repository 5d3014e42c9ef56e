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
from collections.abc import Sequence

from ..._kernel import openat2
from ..._kernel.errors import KernelError

#: For what the kernel itself shows (procfs, sysfs, devpts): no symlink may stand in the way, as an image can hold one.
#: A mount may: only config.json makes those, and what is looked for can be below one (/dev/pts, /proc/sys).
STRICT = openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_SYMLINKS

#: How many symlinks, one leading to the next, the kernel follows in one path; path_resolution(7).
_MOST_LINKS = 40


def find(root_fd: int, path: str) -> int | None:
    """An O_PATH descriptor of what is at that path in the root, None where nothing is. Raises KernelError."""
    try:
        return openat2.openat2(root_fd, path, os.O_PATH)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if error.errno == errno.EXDEV:
            error.hint = "A symlink there leads out of the root"
        raise


def directory(root_fd: int, path: str, mode: int = 0o755) -> int:
    """An O_PATH descriptor of the directory at that path; it and its parents are made where missing.

    Raises KernelError (ENOTDIR, EROFS, ELOOP for a symlink to nowhere...).
    """
    return _directory(root_fd, _parts(path), mode)


def _directory(root_fd: int, names: Sequence[str], mode: int = 0o755) -> int:
    found = os.dup(root_fd)
    so_far = ""
    for name in names:
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
    """An O_PATH descriptor of the file at that path; an empty one and its parents are made where missing.

    Where the path is a symlink to a file that is not there (/etc/resolv.conf of systemd-resolved), that file is made,
    in the root wherever the link leads. Raises KernelError (ELOOP after too many links, EXDEV, EROFS...).
    """
    names = _parts(path)
    for _hop in range(_MOST_LINKS):
        found = find(root_fd, "/" + "/".join(names))
        if found is not None:
            return found
        parent = _directory(root_fd, names[:-1])
        try:
            target = _make_file(parent, names[-1], mode, path)
        finally:
            os.close(parent)
        if target is not None:
            # Not normalized: ".." is the parent of where a directory really is, whichever links lead to that.
            below = [] if target.startswith("/") else names[:-1]
            names = below + [name for name in target.split("/") if name not in ("", ".")]
    raise KernelError(errno.ELOOP, "open", path)


def _make_file(parent_fd: int, name: str, mode: int, path: str) -> str | None:
    """Make an empty file. Where a symlink has its name nothing is made, and what that says is returned."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        # The parent's descriptor and one name: nothing that can be redirected. O_EXCL follows no planted symlink.
        os.close(os.open(name, flags, mode, dir_fd=parent_fd))
        return None
    except FileExistsError as error:
        try:
            return os.readlink(name, dir_fd=parent_fd)
        except OSError:
            refused: OSError = error
    except OSError as error:
        refused = error
    raise KernelError.wrap(refused, "open", path, "It is a mount point that the root does not have") from None


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
