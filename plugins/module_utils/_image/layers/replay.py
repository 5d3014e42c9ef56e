# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files a layer's entries leave behind, and where, told without placing them.

It goes by the rules of layer.Unpacker: a later entry takes the place of an earlier one, and a name may lead through a
symlink of the same layer. The work for an entry depends on how deep it lies and on nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: As many symlinks as the kernel follows on one path, path_resolution(7).
_MOST_LINKS = 40


@dataclass(frozen=True)
class _Symlink:
    target: bytes


#: What is no directory, file or symlink: a device, a FIFO, a whiteout.
_OTHER = object()


class Replay:
    """Entries by their cleaned names, in the archive's order. Each is one of a directory (its names), the digest of a
    file's content, a symlink or _OTHER."""

    def __init__(self) -> None:
        self._root: dict[bytes, Any] = {}

    def directory(self, path: bytes) -> None:
        """A directory keeps what an earlier entry, or the entries below it, put there."""
        parent, name = self._parent(path)
        if name and not isinstance(parent.get(name), dict):
            parent[name] = {}

    def file(self, path: bytes, digest: str) -> None:
        """A regular file, and the digest of its content."""
        self._put(path, digest)

    def symlink(self, path: bytes, target: bytes) -> None:
        """A symbolic link."""
        self._put(path, _Symlink(target))

    def hardlink(self, path: bytes, target: bytes) -> None:
        """One more name of what is at ``target``; nothing that a blob tells of where only a lower layer has that."""
        if path == target:
            return
        directory, _slash, target_name = target.rpartition(b"/")
        there = (self._walk(directory, make=False) or {}).get(target_name, _OTHER)
        self._put(path, _OTHER if isinstance(there, dict) else there)

    def other(self, path: bytes) -> None:
        """A device or FIFO."""
        self._put(path, _OTHER)

    def whiteout(self, path: bytes) -> None:
        """Hides what is below, never what the layer itself holds."""
        parent, name = self._parent(path)
        parent.setdefault(name, _OTHER)

    def files(self) -> Iterator[tuple[bytes, str]]:
        """The regular files, by paths that no symlink is on, and the digests of their contents."""
        left: list[tuple[bytes, dict[bytes, Any]]] = [(b"", self._root)]
        while left:
            above, names = left.pop()
            for name, node in names.items():
                if isinstance(node, dict):
                    left.append((above + name + b"/", node))
                elif isinstance(node, str):
                    yield above + name, node

    def _put(self, path: bytes, node: Any) -> None:
        parent, name = self._parent(path)
        parent[name] = node

    def _parent(self, path: bytes) -> tuple[dict[bytes, Any], bytes]:
        directory, _slash, name = path.rpartition(b"/")
        found = self._walk(directory, make=True)
        # Nothing is where a symlink leads round in circles, and no such layer is ever unpacked.
        return ({} if found is None else found), name

    def _walk(self, directory: bytes, make: bool) -> dict[bytes, Any] | None:
        """The directory that a path leads to, as openat2(2) with RESOLVE_IN_ROOT would find it; made on request."""
        above, rest, links = [self._root], deque(directory.split(b"/")), 0
        while rest:
            name = rest.popleft()
            node = above[-1].get(name)
            if name in (b"", b"."):
                continue
            if name == b"..":
                above = above[:-1] or above
            elif isinstance(node, dict):
                above.append(node)
            elif isinstance(node, _Symlink):
                links += 1
                if links > _MOST_LINKS:
                    return None
                above = above[:1] if node.target.startswith(b"/") else above
                rest.extendleft(reversed(node.target.split(b"/")))
            elif make:
                above[-1][name] = {}
                above.append(above[-1][name])
            else:
                return None
        return above[-1]
