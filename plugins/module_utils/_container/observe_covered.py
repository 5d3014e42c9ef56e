# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container will see where its mounts cover its root, as far as that is known before it runs."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .._image.layers.find import Stack
from .._runtime.bundle.defaults import default_mounts
from .records import ContainerMount

#: What is there: nothing, a directory, a file that is a program or is none, or what nobody can tell beforehand.
MISSING, DIRECTORY, PROGRAM, FILE, UNKNOWN = "missing", "directory", "program", "file", "unknown"
#: File systems in which the kernel has its own, and nobody makes anything.
_KERNELS = ("proc", "sysfs", "devpts", "mqueue", "cgroup2")
#: Of these the host has what every container has.
_LIKE_HOST = ("proc", "sysfs")
#: config-linux.md, default devices.
DEVICES = ("full", "null", "random", "tty", "urandom", "zero")


@dataclass(frozen=True)
class Cover:
    """A mount by the path that it has in the root. ``option`` is its option's name, empty for one that all have."""

    place: str
    kind: str
    source: str = ""
    option: str = ""


class Covers:
    """The mounts of a container to be. ``root`` is what they cover, ``coming`` as in unusable()."""

    def __init__(
        self,
        mounts: Iterable[ContainerMount],
        volumes: Iterable[ContainerMount],
        root: Stack,
        coming: Mapping[str, bool],
    ) -> None:
        found = [Cover(root.find(m["destination"]).path, m["type"]) for m in default_mounts()]
        for index, mount in enumerate(mounts):
            place = root.find(mount.target).path
            found.append(Cover(place, mount.kind, mount.source or "", f"mounts[{index}]"))
        found += [Cover(root.find(volume.target).path, volume.kind) for volume in volumes]
        self._by_place = {cover.place: cover for cover in found}  # the last one is on top
        self._coming = coming

    @property
    def places(self) -> set[str]:
        """Where something is mounted."""
        return set(self._by_place)

    def over(self, path: str) -> Cover | None:
        """The mount that shows what is at a path without symlinks in the root."""
        while path != "/":
            if path in self._by_place:
                return self._by_place[path]
            path = posixpath.dirname(path)
        return None

    def look(self, path: str) -> str:
        """What is at a path that is covered."""
        cover = self.over(path)
        if cover is None:
            return UNKNOWN
        found = self._shown(cover, path)
        on_the_way = any(place.startswith(path + "/") for place in self._by_place)
        return DIRECTORY if on_the_way and found in (MISSING, UNKNOWN) else found

    def _shown(self, cover: Cover, path: str) -> str:
        rest = path[len(cover.place) :].lstrip("/")
        if cover.kind == "bind":
            return self._bound(cover, rest)
        if not rest:
            return DIRECTORY
        if cover.kind in _KERNELS:
            like_host = cover.kind in _LIKE_HOST and os.path.lexists(path)
            return UNKNOWN if like_host and not os.path.isdir(path) else DIRECTORY if like_host else MISSING
        if cover.place == "/dev" and not cover.option:
            return FILE if rest.partition("/")[0] in DEVICES else UNKNOWN
        return MISSING if cover.kind == "tmpfs" else UNKNOWN

    @staticmethod
    def _by(cover: Cover) -> str:
        return f", which {cover.option} mounts" if cover.option else ""

    def makes_nothing(self, path: str) -> str:
        """Why nobody can make anything at a covered path where nothing is; empty where that may be possible."""
        cover = self.over(path)
        if cover is None or path == cover.place:
            return ""
        if cover.kind in _KERNELS and self.look(path) == MISSING:
            return f"nobody can make anything in {cover.place}, which is the kernel's"
        parent = posixpath.dirname(path)
        return f"{parent} is a file{self._by(cover)}" if self.look(parent) in (FILE, PROGRAM) else ""

    def _bound(self, cover: Cover, rest: str) -> str:
        if self._coming.get(cover.source) is False:
            return UNKNOWN if rest else DIRECTORY
        try:
            status = os.stat(cover.source)
        except OSError:
            return UNKNOWN
        if stat.S_ISDIR(status.st_mode):
            # What is in it may be another by then: a source can be where something is mounted for the container.
            return UNKNOWN if rest else DIRECTORY
        if rest:
            return MISSING
        return PROGRAM if stat.S_ISREG(status.st_mode) and status.st_mode & 0o111 else FILE
