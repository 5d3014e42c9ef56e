# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files and directories of a host as they are and, with what plans will make of them, as they will be."""

from __future__ import annotations

import json
import os
import posixpath
import stat
from dataclasses import dataclass
from typing import Any

from .._kernel import files, record_file


@dataclass(frozen=True)
class _Entry:
    """What is expected at a path. ``content`` None: a directory; ``bare``: what was below it on the disk is gone."""

    content: str | None
    mode: int
    bare: bool = False


class Files:
    """Each file is read once. What is expected lies over what is on the disk.

    Paths are absolute and normal, as all of ours are; links on the way are not followed in what is expected.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str | None] = {}
        self._documents: dict[str, tuple[str, Any]] = {}
        #: Path -> entry, None where what was there is gone.
        self._expected: dict[str, _Entry | None] = {}
        #: The names expected in a directory: name -> whether it is there.
        self._names: dict[str, dict[str, bool]] = {}
        self._mounted: set[str] = set()

    def text(self, path: str) -> str | None:
        """A file's text, None where there is none. Raises KernelError."""
        known, entry = self._look(path)
        if known:
            return entry.content if entry is not None else None
        if path not in self._texts:
            self._texts[path] = files.read_text(path)
        return self._texts[path]

    def document(self, path: str) -> Any | None:
        """A JSON document of ours, None where there is none. Raises KernelError(EBADMSG) when damaged."""
        text = self.text(path)
        if text is None:
            return None
        known = self._documents.get(path)
        if known is None or known[0] != text:
            try:
                known = text, json.loads(text)
            except ValueError:
                raise files.damaged(path) from None
            self._documents[path] = known
        return known[1]

    def record(self, path: str, newest: int = record_file.FIRST) -> dict[str, Any] | None:
        """A record, with a version that is read (_kernel/record_file.py); None for none. Raises KernelError."""
        document = self.document(path)
        return None if document is None else record_file.check(path, document, newest)

    def is_directory(self, path: str) -> bool:
        known, entry = self._look(path)
        return entry is not None and entry.content is None if known else os.path.isdir(path)

    def names(self, path: str) -> list[str]:
        """Of what is in a directory, sorted; none where there is no directory."""
        known, entry = self._look(path)
        found: set[str] = set()
        if not (known and (entry is None or entry.bare or entry.content is not None)):
            try:
                found = set(os.listdir(path))
            except (FileNotFoundError, NotADirectoryError):
                found = set()
        for name, there in self._names.get(path, {}).items():
            (found.add if there else found.discard)(name)
        return sorted(found)

    def is_empty_directory(self, path: str) -> bool:
        return self.is_directory(path) and not self.names(path)

    def mode(self, path: str) -> int | None:
        """The permission bits, links not followed; None where there is nothing."""
        known, entry = self._look(path)
        if known:
            return entry.mode if entry is not None else None
        try:
            return stat.S_IMODE(os.stat(path, follow_symlinks=False).st_mode)
        except OSError:
            return None

    def will_exist(self, path: str) -> bool:
        """Whether something is expected there, or may be in what is mounted there or above."""
        known, entry = self._look(path)
        return (known and entry is not None) or self.will_be_mounted(path)

    def will_be_gone(self, path: str) -> bool:
        """Whether it is expected that nothing is there, whatever is on the disk."""
        known, entry = self._look(path)
        return known and entry is None

    def will_be_mounted(self, path: str) -> bool:
        """Whether it is, or lies in, something that is yet to be mounted."""
        return any(path == mounted or path.startswith(mounted + "/") for mounted in self._mounted)

    def changed_names(self, path: str) -> dict[str, bool]:
        """The names that are expected to come to a directory (True) or to go from it (False)."""
        return dict(self._names.get(path, {}))

    def expect_mount(self, path: str) -> None:
        """Something is mounted there, of which nothing is known."""
        self._mounted.add(path)

    def expect_file(self, path: str, content: str, mode: int) -> None:
        self._put(path, _Entry(content, mode))

    def expect_directory(self, path: str, mode: int) -> None:
        """Made where it is not there, with those above it."""
        if path != "/" and not self.is_directory(path):
            self._put(path, _Entry(None, mode, bare=True))

    def expect_mode(self, path: str, mode: int) -> None:
        known, entry = self._look(path)
        if known and entry is not None:
            self._put(path, _Entry(entry.content, mode, entry.bare))
        elif not known:
            self._put(path, _Entry(self.text(path) if not os.path.isdir(path) else None, mode))

    def expect_gone(self, path: str) -> None:
        """With all that is below it."""
        for other in [p for p in self._expected if p.startswith(path + "/")]:
            del self._expected[other]
        for directory in [d for d in self._names if d == path or d.startswith(path + "/")]:
            del self._names[directory]
        self._expected[path] = None
        self._names.setdefault(posixpath.dirname(path), {})[posixpath.basename(path)] = False

    def _put(self, path: str, entry: _Entry) -> None:
        self.expect_directory(posixpath.dirname(path), 0o700)
        self._expected[path] = entry
        self._names.setdefault(posixpath.dirname(path), {})[posixpath.basename(path)] = True

    def _look(self, path: str) -> tuple[bool, _Entry | None]:
        """Whether something is expected of the path, and what is there then."""
        if path in self._expected:
            return True, self._expected[path]
        if self._expected:
            above = posixpath.dirname(path)
            while above not in ("/", ""):
                if above in self._expected:
                    entry = self._expected[above]
                    # Below what is gone, or was made anew, is nothing that is not expected itself.
                    if entry is None or entry.bare or entry.content is not None:
                        return True, None
                    return False, None
                above = posixpath.dirname(above)
        return False, None
