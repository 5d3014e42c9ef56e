# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trees that anybody may have made, removed and walked by descriptors.

No path is ever joined or looked up again, so neither its length nor a symlink that is put in its place meanwhile
matters; ".." is never used, so a directory that is moved meanwhile leads nowhere else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Container, Generator, Iterator
from typing import NamedTuple

from . import openat2
from .errors import KernelError

#: Descriptors that a removal holds at most: what lies deeper is moved up first.
_HELD = 64
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RESOLVE = openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_SYMLINKS | openat2.RESOLVE_NO_XDEV
#: What a walk may not leave by: another mount, be it of the same file system.
_STAY = openat2.RESOLVE_NO_XDEV | openat2.RESOLVE_NO_SYMLINKS
#: What a name, or a directory that was opened, gives that is gone; ESRCH is procfs's word for it.
GONE = (errno.ENOENT, errno.ESRCH, errno.ESTALE)
#: What a name gives that is no directory, or not any more.
_NO_DIRECTORY = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_MOUNTED = "Something is mounted there: unmount it first"


def remove(parent: int, name: bytes) -> None:
    """Remove what has that name in a directory, with all below it. It never follows a symlink nor enters a mount.

    Raises OSError: KernelError(EBUSY) where something is mounted below it, ENOTEMPTY where somebody goes on filling
    it.
    """
    top = _open(parent, name)
    if top is None:
        os.unlink(name, dir_fd=parent)
        return
    try:
        while _remove_below(top):
            pass
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _remove_below(top: int) -> bool:
    """Remove what is in a directory. What lies too deep is moved up into it, for another round: whether some did."""
    moved = False
    levels = [(top, b"", _listed(top))]
    try:
        while True:
            fd, own, names = levels[-1]
            name, is_directory = next(names, (b"", False))
            if not name and len(levels) == 1:
                return moved
            if not name:
                levels.pop()
                os.close(fd)
                _unless_gone(os.rmdir, own, levels[-1][0])
            elif not is_directory:
                _unless_gone(os.unlink, name, fd)
            elif len(levels) == _HELD:
                # A name that nobody can foresee, as whoever made the tree may still be at work in it.
                os.rename(name, secrets.token_hex(16), src_dir_fd=fd, dst_dir_fd=top)
                moved = True
            elif (below := _open(fd, name)) is not None:
                levels.append((below, name, _listed(below)))
    finally:
        for fd, _own, _names in levels[1:]:
            os.close(fd)


def _open(parent: int, name: bytes) -> int | None:
    """A directory; None where it is none. Raises KernelError(EBUSY) for a mount point."""
    try:
        return openat2.openat2(parent, name, _FLAGS, resolve=_RESOLVE)
    except KernelError as error:
        if error.errno in _NO_DIRECTORY:
            return None
        if error.errno == errno.EXDEV:
            raise KernelError(errno.EBUSY, "rmdir", name, _MOUNTED) from None
        raise


def _listed(fd: int) -> Iterator[tuple[bytes, bool]]:
    """The names in a directory, and which are directories themselves."""
    with os.scandir(fd) as entries:
        return iter([(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries])


def _unless_gone(call: Callable[..., None], name: bytes, parent: int) -> None:
    """What somebody else removed or replaced meanwhile is no failure yet: its parent is empty then, or is not."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
        call(name, dir_fd=parent)


class Node(NamedTuple):
    """What a walk meets: its name in the directory that ``parent`` refers to, its path below the root of the walk,
    and ``fd``, of a directory that is entered next, else -1. The descriptors are the walk's.

    ``mounted``: something is mounted there, and ``status`` is of that."""

    parent: int
    name: bytes
    path: bytes
    status: os.stat_result
    fd: int
    mounted: bool = False

    @property
    def depth(self) -> int:
        """1 for what is directly in the root."""
        return self.path.count(b"/") + 1


def walk(
    root: int, deepest: int, without: Container[bytes] = (), into_mounts: bool = False
) -> Generator[Node, None, None]:
    """Everything below a directory, in byte order, a directory before what is in it; symlinks are not followed.

    Directories deeper than ``deepest`` are met and not entered: one descriptor is held for each on the way. Nor are
    mount points, unless ``into_mounts``. ``without`` are paths to leave out, which are not even looked at; what goes
    while it is walked is left out too. Whoever may not come to the end closes it (contextlib.closing). Raises OSError.
    """
    levels = [(root, b"", _sorted(root))]
    try:
        while levels:
            fd, path, names = levels[-1]
            name = next(names, None)
            if name is None:
                levels.pop()
                if levels:
                    os.close(fd)
                continue
            inside = path + b"/" + name if path else name
            node = None
            if inside not in without:
                node = _node(fd, name, inside, len(levels) <= deepest, into_mounts)
            if node is not None:
                if node.fd >= 0:
                    levels.append((node.fd, inside, _sorted(node.fd)))
                yield node
    finally:
        for fd, _path, _names in levels[1:]:
            os.close(fd)


def _node(parent: int, name: bytes, path: bytes, enter: bool, into_mounts: bool) -> Node | None:
    """None for what is gone, or is another, since its name was read. Raises OSError with the path."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not (enter and stat.S_ISDIR(status.st_mode)):
            mounted = not into_mounts and is_mounted(parent, name, status)
            return Node(parent, name, path, status, -1, mounted)
        try:
            fd = openat2.openat2(parent, name, _FLAGS, resolve=0 if into_mounts else _STAY)
        except KernelError as error:
            if error.errno == errno.EXDEV:
                return Node(parent, name, path, status, -1, True)
            raise
        return Node(parent, name, path, os.fstat(fd), fd)
    except OSError as error:
        if error.errno in (*GONE, *_NO_DIRECTORY):
            return None
        raise OSError(error.errno, os.strerror(error.errno or 0), os.fsdecode(path)) from error


def is_mounted(parent: int, name: bytes, status: os.stat_result) -> bool:
    """Whether something is mounted on a name in a directory, mount(8); of what is no directory only where it is of
    another file system. ``status`` is what lstat(2) says of it. Raises OSError."""
    # On overlayfs and btrfs another device is not always another mount, so the kernel is asked.
    if not stat.S_ISDIR(status.st_mode) and status.st_dev == os.fstat(parent).st_dev:
        return False
    try:
        os.close(openat2.openat2(parent, name, os.O_PATH | os.O_NOFOLLOW, resolve=openat2.RESOLVE_NO_XDEV))
    except KernelError as error:
        if error.errno == errno.EXDEV:
            return True
        raise
    return False


def _sorted(fd: int) -> Iterator[bytes]:
    try:
        return iter(sorted(os.fsencode(name) for name in os.listdir(fd)))
    except OSError as error:
        if error.errno in GONE:
            return iter(())
        raise
