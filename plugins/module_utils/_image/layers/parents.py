# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directories that a layer's entries go into, found and made below the layer's own root."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import NamedTuple

from ..._kernel import openat2
from ..._kernel.errors import KernelError
from ..errors import HostileLayer, shown
from .overlay_marks import OPAQUE_XATTR, is_whiteout
from .policy import DEEPEST

_RESOLVE = openat2.RESOLVE_IN_ROOT | openat2.RESOLVE_NO_MAGICLINKS | openat2.RESOLVE_NO_XDEV
_CACHED = 256
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


class Place(NamedTuple):
    """A directory of the layer: a descriptor, and its path below the root with no symlink on the way."""

    fd: int
    path: bytes

    def inside(self, name: bytes) -> bytes:
        return self.path + b"/" + name if self.path else name


class Parents:
    """``implied`` are the directories that the archive uses and did not carry; ``made`` is called for each that is."""

    def __init__(self, root: int, made: Callable[[], None]) -> None:
        self.root = Place(root, b"")
        self._made_one = made
        self.implied: set[bytes] = {b""}
        self._prefix = os.readlink(_through(root))
        self._known: dict[bytes, Place] = {}

    def of(self, directory: bytes) -> Place:
        """The directory of that name in the archive, made where it did not carry it.

        Raises HostileLayer where it lies too deep, OSError.
        """
        if not directory:
            return self.root
        place = self._known.get(directory)
        if place is None:
            if len(self._known) >= _CACHED:
                self.forget()
            check_depth(directory)
            place = self._known[directory] = self._found(directory)
        return place

    def open(self, path: bytes, flags: int = os.O_PATH, resolve: int = 0) -> int:
        """A descriptor of a directory that is there. Raises KernelError."""
        return openat2.openat2(self.root.fd, path or b".", flags | os.O_DIRECTORY, resolve=_RESOLVE | resolve)

    def forget(self, kept: int = -1) -> None:
        """Descriptors may name what is no longer there; the one in use stays open."""
        for path, place in list(self._known.items()):
            if place.fd != kept:
                os.close(place.fd)
                del self._known[path]

    def _found(self, directory: bytes) -> Place:
        try:
            fd = self.open(directory)
        except KernelError as error:
            if error.errno not in _ABSENT:
                raise
            fd = self._made(directory)
        try:
            path = self._path(fd, directory)
            # A symlink of the layer may have led deeper than the name says.
            check_depth(path + b"/.", directory)
        except BaseException:
            os.close(fd)
            raise
        return Place(fd, path)

    def _path(self, fd: int, name: bytes) -> bytes:
        try:
            return os.readlink(_through(fd))[len(self._prefix) :].strip(b"/")
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise too_deep(name) from None
            raise

    def _made(self, directory: bytes) -> int:
        parts = directory.split(b"/")
        above = self.open(b"")
        try:
            for depth, name in enumerate(parts, 1):
                here = b"/".join(parts[:depth])
                try:
                    below = self.open(here)
                except KernelError as error:
                    if error.errno not in _ABSENT:
                        raise
                    self._imply(above, name, here)
                    below = self.open(here)
                os.close(above)
                above = below
        except BaseException:
            os.close(above)
            raise
        return above

    def _imply(self, parent: int, name: bytes, directory: bytes) -> None:
        """Make one directory; also over a whiteout of the same layer."""
        path = Place(parent, self._path(parent, directory)).inside(name)
        self._made_one()
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:
            if not is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False)):
                raise
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, 0o755, dir_fd=parent)
            os.setxattr(_through(parent) + b"/" + name, OPAQUE_XATTR, b"y", follow_symlinks=False)
        os.chmod(name, 0o755, dir_fd=parent)
        self.implied.add(path)


def check_depth(path: bytes, name: bytes = b"") -> None:
    """Raises HostileLayer where a path has too many names; it is shown as ``name`` where that is another."""
    if path.count(b"/") >= DEEPEST:
        raise too_deep(name or path)


def too_deep(name: bytes) -> HostileLayer:
    return HostileLayer(f"entry {shown(name)}: lies deeper than {DEEPEST} directories")


def _through(fd: int) -> bytes:
    return b"/proc/self/fd/%d" % fd
