# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a long task is doing, for whoever watches: a small JSON file that is replaced several times a second."""

from __future__ import annotations

import contextlib
import json
import os
import time

from ..._kernel import files, locations

_EVERY = 0.2


class Progress:
    """Writes {"phase", "done", "total", "text", "pid"} to ``path``; does nothing where there is no path."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._last = 0.0
        self._phase = ""

    def update(self, phase: str, done: int = 0, total: int = 0, text: str = "") -> None:
        """Never fails: nobody's image may be lost to a progress display."""
        now = time.monotonic()
        if not self._path or (phase == self._phase and now - self._last < _EVERY):
            return
        self._last, self._phase = now, phase
        state = {"phase": phase, "done": done, "total": total, "text": text, "pid": os.getpid()}
        with contextlib.suppress(OSError):
            files.make_directory(os.path.dirname(self._path))
            # For everyone to read who knows its name: the watcher comes without root's rights.
            files.write_atomically(self._path, json.dumps(state), 0o644)

    def close(self) -> None:
        """The task is done, or has failed. With its file those go whose tasks were killed."""
        if self._path:
            for path in (self._path, *left()):
                with contextlib.suppress(OSError):
                    os.unlink(path)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(self._path))


def left() -> tuple[str, ...]:
    """The files of those who are no more: killed before they could close()."""
    try:
        names = sorted(os.listdir(locations.PROGRESS))
    except FileNotFoundError:
        return ()
    paths = (f"{locations.PROGRESS}/{name}" for name in names)
    return tuple(path for path in paths if not _lives(path))


def _lives(path: str) -> bool:
    """Whether the writer does. A file that is being written cannot be read, and one that has gone is nobody's fault."""
    try:
        with open(path, "rb") as handle:
            return os.path.exists(f"/proc/{int(json.load(handle)['pid'])}")
    except (OSError, ValueError, TypeError, KeyError):
        return path.endswith(".new") or not os.path.lexists(path)
