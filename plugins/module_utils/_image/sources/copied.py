# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a step of a build copies: a file of the host, or a directory, read by descriptors.

Others may write in the directory meanwhile. So no symlink in it is followed, what goes before it is read is left out,
and what is mounted in it is not part of it: where something is mounted is an empty directory or file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from ..._kernel import openat2, regular, tree
from ..._kernel.errors import KernelError
from ..errors import ImageError, shown
from ..layers.policy import DEEPEST

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_STAY = openat2.RESOLVE_NO_XDEV | openat2.RESOLVE_NO_SYMLINKS


@dataclass(frozen=True)
class Entry:
    """One thing to copy, while the walk stands at it. ``inside`` is its path below ``src``, empty for src itself;
    ``fd`` of a regular file, at its beginning; ``target`` of a symbolic link."""

    src: str
    inside: str
    status: os.stat_result
    fd: int = -1
    target: str = ""

    @property
    def path(self) -> str:
        """Where it is on the host."""
        return os.path.join(self.src, self.inside) if self.inside else self.src


def entries(src: str) -> Generator[Entry, None, None]:
    """``src`` itself, which may be a symlink, and what is below it, a directory before what is in it, in byte order.

    Raises ImageError for what cannot be copied, KernelError for what cannot be read.
    """
    try:
        status = os.stat(src)
        if not stat.S_ISDIR(status.st_mode):
            _refuse_special(src, status)
            yield from _file(src, "", os.open(src, _FLAGS))
            return
        root = os.open(src, _FLAGS | os.O_DIRECTORY)
    except OSError as error:
        raise KernelError.wrap(error, "open", src) from error
    try:
        yield Entry(src, "", os.fstat(root))
        with contextlib.closing(tree.walk(root, DEEPEST)) as nodes:
            for node in nodes:
                yield from _below(src, node)
    except OSError as error:
        if isinstance(error, KernelError):
            raise
        raise KernelError.wrap(error, "read", os.path.join(src, error.filename or "")) from error
    finally:
        os.close(root)


def _below(src: str, node: tree.Node) -> Iterator[Entry]:
    inside, mode = os.fsdecode(node.path), node.status.st_mode
    path = os.path.join(src, inside)
    if node.depth > DEEPEST:
        raise ImageError(f"{shown(os.fsencode(path))} lies deeper than {DEEPEST} directories, which no layer may hold")
    if node.mounted or stat.S_ISDIR(mode):
        yield Entry(src, inside, node.status)
        return
    _refuse_special(path, node.status)
    try:
        if stat.S_ISLNK(mode):
            yield Entry(src, inside, node.status, target=os.fsdecode(os.readlink(node.name, dir_fd=node.parent)))
            return
        fd = openat2.openat2(node.parent, node.name, _FLAGS | os.O_NOFOLLOW, resolve=_STAY)
    except OSError as error:
        if error.errno == errno.EXDEV:
            yield Entry(src, inside, node.status)
        elif error.errno not in tree.GONE:
            raise KernelError.wrap(error, "open", path) from error
        return
    yield from _file(src, inside, fd)


def _file(src: str, inside: str, fd: int) -> Iterator[Entry]:
    try:
        entry = Entry(src, inside, os.fstat(fd), fd)
        _refuse_special(entry.path, entry.status)  # it may have become something else since it was looked at
        yield entry
    finally:
        os.close(fd)


def _refuse_special(path: str, status: os.stat_result) -> None:
    """Raises ImageError for what cannot be copied: a FIFO would hold us for ever, a device have no end."""
    kind = "" if stat.S_ISDIR(status.st_mode) else regular.kind_of(status)
    if kind:
        hint = "Only files, directories and symbolic links are copied: move it away, or copy the others by themselves"
        raise ImageError(f"build.copy.src: {path!r} is {kind}", hint)
