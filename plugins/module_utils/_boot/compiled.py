# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has already, compiled, is not compiled again: importing this file makes the imports after it look there.

Ansible sends a module's code as a zip archive of sources, which Python compiles for each task. Where the library on the
host (library.py) holds the very same file, it is loaded from there, with the bytecode beside it. Files are the same
where length and CRC-32 are, which the directory of the archive tells without reading them. A task that brings another
version removes the one that it, and others, go on to import from: then the archive has the file still.

Modules import this first. ``_boot`` comes first in the order of their imports, so that sorting them keeps it there.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any

from .._kernel import locations
from .host_code import INDEX, PACKAGE, version_of

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class InstalledLoader(SourceFileLoader):
    """Loads a module from its file, and what ``sent`` returns instead where that is gone."""

    def __init__(self, fullname: str, path: str, sent: Callable[[], bytes]) -> None:
        super().__init__(fullname, path)
        self._sent = sent

    def get_data(self, path: str) -> bytes:
        """The content of the file or of its bytecode. Raises OSError."""
        try:
            return super().get_data(path)
        except FileNotFoundError:
            if path != self.path:
                raise
            return self._sent()


class InstalledFinder:
    """Finds modules of ``base`` (a package's dotted name) as files below ``root``, where ``names`` lists them.

    sent: returns the same file, of that name, as it came with the module.
    """

    def __init__(self, base: str, root: str, names: frozenset[str], sent: Callable[[str], bytes]) -> None:
        self._prefix = base + "."
        self._root = root
        self._names = names
        self._sent = sent

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder, whose module is too slow to import here."""
        if not fullname.startswith(self._prefix):
            return None
        name = fullname[len(self._prefix) :].replace(".", "/") + ".py"
        if name not in self._names:
            return None
        file = f"{self._root}/{name}"
        return spec_from_file_location(
            fullname, file, loader=InstalledLoader(fullname, file, partial(self._sent, name))
        )


def same_files(sent: Mapping[str, tuple[int, int]], index: Mapping[str, Sequence[int]]) -> frozenset[str]:
    """Paths of the modules that are sent and installed alike; both by (length, CRC-32)."""
    return frozenset(
        path for path, known in sent.items() if tuple(index.get(path, ())) == known and not path.endswith("__init__.py")
    )


def _sent(archive: str, base: str) -> dict[str, tuple[int, int]]:
    """The files below a directory of the archive, each by its path from there."""
    with zipfile.ZipFile(archive) as zipped:
        return {
            entry.filename[len(base) + 1 :]: (entry.file_size, entry.CRC)
            for entry in zipped.infolist()
            if entry.filename.startswith(base + "/")
        }


def _trusted(path: str) -> bool:
    """Whether only root can have written what is there."""
    status = os.stat(path)
    return status.st_uid == 0 and not status.st_mode & _WRITABLE_BY_OTHERS


def _prefer_installed(library: str) -> None:
    """Have the host's own code found first, where it is what was sent; else leave everything as it is."""
    base = __name__.rpartition("._boot.")[0]
    package = sys.modules.get(base)
    loader: Any = getattr(package, "__loader__", None)
    archive = getattr(loader, "archive", None)
    if package is None or archive is None:  # a checkout, or the host's own code at boot
        return
    directory = package.__path__[0]
    try:
        version = version_of(f"{library}/nsrun")
        root = f"{library}/{version}/{PACKAGE}"
        if version is None or not _trusted(library) or not _trusted(root):
            return
        with open(f"{library}/{version}/{INDEX}", encoding="utf-8") as handle:
            index = json.load(handle)
        names = same_files(_sent(archive, os.path.relpath(directory, archive)), index)
    except (OSError, ValueError):  # there is none, or it is being replaced
        return
    finder = InstalledFinder(base, root, names, lambda name: bytes(loader.get_data(f"{directory}/{name}")))
    sys.meta_path.insert(0, finder)


_prefer_installed(locations.LIBRARY)
