# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a path leads in a stack of layers that nobody has mounted, symlinks from one layer into another included."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..._kernel.errors import KernelError
from ..._kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2, read_regular

_MOST_LINKS = 40


class CannotTell(Exception):
    """What an overlay of these layers would show cannot be known without mounting it."""


@dataclass(frozen=True)
class Found:
    """The path without symlinks, and what is there (None: nothing). ``covered``: it leads into a mount."""

    path: str
    status: os.stat_result | None
    covered: bool = False


class Stack:
    """Layers, the topmost first, each untrusted: a name is only ever looked up below a layer's own descriptor."""

    def __init__(self, layers: Sequence[str]) -> None:
        self._layers: list[int] = []
        try:
            for layer in layers:
                self._layers.append(os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            self.close()
            raise CannotTell(str(error)) from None

    def close(self) -> None:
        while self._layers:
            os.close(self._layers.pop())

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def find(self, path: str, covered: Collection[str] = ()) -> Found:
        """What the overlay has at ``path``; at the places in ``covered`` something else is mounted.

        Raises CannotTell.
        """
        rest, links = deque(_parts(path)), 0
        real: list[str] = []
        status: os.stat_result | None = None
        while rest:
            name = rest.popleft()
            if name == "..":
                real, status = real[:-1], None
                continue
            here = [*real, name]
            if _joined(here) in covered:
                return Found(_joined([*here, *rest]), None, covered=True)
            status, target = self._entry(here)
            if target:
                links += 1
                if links > _MOST_LINKS:
                    return Found(path, None)
                real = [] if target.startswith("/") else real
                rest.extendleft(reversed(_parts(target)))
            elif status is None or (rest and not stat.S_ISDIR(status.st_mode)):
                missing = [_joined([*here, *itertools.islice(rest, end)]) for end in range(len(rest) + 1)]
                # Directories that the image lacks are made on the way to what is mounted there.
                return Found(missing[-1], None, covered=status is None and any(path in covered for path in missing))
            else:
                real = here
        return Found(_joined(real), status if status is not None else os.fstat(self._layers[0]))

    def read(self, path: str, largest: int) -> bytes | None:
        """The first ``largest`` bytes of the file that the overlay has there, None where there is no regular one.

        Raises CannotTell, KernelError.
        """
        found = self.find(path)
        if found.status is None or not stat.S_ISREG(found.status.st_mode):
            return None
        layer, _entry = self._topmost(_parts(found.path))
        return None if layer is None else read_regular(layer, found.path, largest)

    def _entry(self, parts: Sequence[str]) -> tuple[os.stat_result | None, str]:
        """What is at a path whose directories are no symlinks, and where it leads if it is one itself."""
        return self._topmost(parts)[1]

    def _topmost(self, parts: Sequence[str]) -> tuple[int | None, tuple[os.stat_result | None, str]]:
        """The layer whose entry is the one that shows, and that entry."""
        for layer in self._layers:
            entry, hides = _in_layer(layer, parts)
            if entry is not None or hides:
                return layer, entry or (None, "")
        return None, (None, "")


def _in_layer(layer: int, parts: Sequence[str]) -> tuple[tuple[os.stat_result, str] | None, bool]:
    """The entry in one layer, and where there is none, whether it hides what lower ones have (overlayfs.rst)."""
    opaque = False
    for depth in range(1, len(parts) + 1):
        try:
            # With O_NOFOLLOW a symlink at the end is opened itself; one before it is ELOOP.
            flags = os.O_PATH | os.O_NOFOLLOW
            fd = openat2(layer, "/".join(parts[:depth]), flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        except KernelError as error:
            if error.errno == errno.ENOENT:
                return None, opaque
            raise CannotTell(str(error)) from None
        try:
            status = os.fstat(fd)
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                return None, True
            if depth == len(parts):
                return (status, os.readlink("", dir_fd=fd) if stat.S_ISLNK(status.st_mode) else ""), True
            if not stat.S_ISDIR(status.st_mode):
                return None, True
            if _attribute(fd, "redirect"):
                raise CannotTell("a directory was renamed")
            opaque = opaque or _attribute(fd, "opaque") == b"y"
        finally:
            os.close(fd)
    return None, opaque


def _attribute(directory: int, name: str) -> bytes:
    try:
        return os.getxattr(f"/proc/self/fd/{directory}", f"trusted.overlay.{name}")
    except OSError:
        return b""


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _joined(parts: Sequence[str]) -> str:
    return "/" + "/".join(parts)
