# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container logs as JSON lines, one object a line with time, stream and log, rotated by size.

FILE is written to; FILE.1 is the one before, and so on: max_files in all. The format is that of Docker's json-file.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..._kernel.errors import KernelError
from ..process import clock

#: A line longer than this is cut into several entries; only the last of them ends in a newline.
LONGEST_LINE = 16384
STDOUT, STDERR = "stdout", "stderr"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_MODE = 0o640


class Budget:
    """CPU time that copying output may take: ``share`` of one CPU on average, and ``ahead`` seconds at once.

    Whoever copies is outside the container's cgroup, so the container's limits do not count it. When it is used up
    nothing is read for a while: the pipe becomes full, and who writes waits. Nothing is lost.
    """

    def __init__(self, share: float = 0.25, ahead: float = 2.0) -> None:
        self.share, self.ahead = share, ahead
        self._left, self._since = ahead, time.monotonic()

    def pause(self) -> float:
        """Seconds until output may be read again; 0: now."""
        now = time.monotonic()
        self._left = min(self.ahead, self._left + (now - self._since) * self.share)
        self._since = now
        return max(0.0, -self._left / self.share)

    @contextlib.contextmanager
    def spent(self) -> Iterator[None]:
        """What the block takes is counted."""
        begun = time.thread_time()
        try:
            yield
        finally:
            self._left -= time.thread_time() - begun


class Line(NamedTuple):
    """One entry. ``log`` ends in a newline unless the line was cut."""

    time: str
    stream: str
    log: str


class Writer:
    """Appends what containers write. A full disk loses lines, never the container: ``lost`` counts them.

    ``max_size`` (bytes) and ``max_files`` may be set at any time, and count from the next rotation on.
    Raises KernelError where the file cannot be opened in the beginning.
    """

    def __init__(self, path: str, max_size: int, max_files: int) -> None:
        self.path, self.max_size, self.max_files = path, max_size, max(1, max_files)
        self.lost = 0
        self._pending = {STDOUT: b"", STDERR: b""}
        try:
            self._fd = os.open(path, _FLAGS, _MODE)
            self._size = os.fstat(self._fd).st_size
        except OSError as error:
            raise KernelError.wrap(error, "open", path) from None
        with contextlib.suppress(OSError):
            self._drop(self.max_files)

    def fileno(self) -> int:
        return self._fd

    def feed(self, stream: str, data: bytes) -> None:
        """Bytes that came from the container; what is not a whole line yet is kept for the next time."""
        lines = (self._pending[stream] + data).split(b"\n")
        *full, rest = _pieces(lines.pop())
        pieces = [piece for line in lines for piece in _pieces(line + b"\n")]
        self._pending[stream] = rest
        self._write(stream, pieces + full)

    def finish(self, stream: str) -> None:
        """The container closed it: what is left is the last line."""
        rest, self._pending[stream] = self._pending[stream], b""
        if rest:
            self._write(stream, [rest])

    def close(self) -> None:
        """Write what is left of both, and close."""
        for stream in self._pending:
            self.finish(stream)
        os.close(self._fd)
        self._fd = -1

    def _write(self, stream: str, pieces: list[bytes]) -> None:
        now = clock.now()
        for piece in pieces:
            entry = {"log": piece.decode("utf-8", "replace"), "stream": stream, "time": now}
            raw = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
            size = self._size + len(raw)
            if self._size and size > self.max_size and not self._rotate() and size > 2 * self.max_size:
                self.lost += 1  # not without bounds, even where no other file can be begun
                continue
            try:
                written = os.write(self._fd, raw)
                if written < len(raw):  # the disk is full: a half line would spoil the next one
                    os.ftruncate(self._fd, self._size)
                    raise OSError
                self._size += written
            except OSError:
                self.lost += 1
                with contextlib.suppress(OSError):
                    self._size = os.lseek(self._fd, 0, os.SEEK_END)

    def _rotate(self) -> bool:
        """Begin another file. False where that cannot be: then the old one goes on, and the next line tries again."""
        begun = f"{self.path}.new"
        try:
            self._drop(max(1, self.max_files - 1))  # first, as it may make room for the new one
            fd = os.open(begun, _FLAGS | os.O_TRUNC, _MODE)
        except OSError:
            return False
        try:
            for number in range(self.max_files - 1, 0, -1):
                newer = f"{self.path}.{number - 1}" if number > 1 else self.path
                with contextlib.suppress(FileNotFoundError):
                    os.rename(newer, f"{self.path}.{number}")
            os.rename(begun, self.path)
        except OSError:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(begun)
            return False
        os.close(self._fd)
        self._fd, self._size = fd, 0
        return True

    def _drop(self, number: int) -> None:
        """Remove the older files from that number on. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            while True:
                os.unlink(f"{self.path}.{number}")
                number += 1


def _pieces(line: bytes) -> list[bytes]:
    """At least one, none longer than LONGEST_LINE; a character is not cut."""
    pieces = []
    while len(line) > LONGEST_LINE:
        end = next((i for i in range(LONGEST_LINE, LONGEST_LINE - 4, -1) if line[i] & 0xC0 != 0x80), LONGEST_LINE)
        pieces.append(line[:end])
        line = line[end:]
    return [*pieces, line]


def files_of(path: str) -> list[str]:
    """The log and its older parts, the newest first."""
    found, number = [path] if os.path.exists(path) else [], 1
    while os.path.exists(f"{path}.{number}"):
        found.append(f"{path}.{number}")
        number += 1
    return found


def tail(path: str, count: int, streams: tuple[str, ...] = (STDOUT, STDERR)) -> list[Line]:
    """The last ``count`` entries across rotations, oldest first; fewer where there are not so many."""
    handles = []
    with contextlib.ExitStack() as stack:
        for name in files_of(path):  # opened first: a rotation while we read then changes nothing
            with contextlib.suppress(FileNotFoundError):
                handles.append(stack.enter_context(open(name, "rb")))
        found: list[Line] = []
        for handle in handles:
            lines = [line for line in map(_parse, handle.read().split(b"\n")) if line and line.stream in streams]
            found = lines[max(0, len(lines) - (count - len(found))) :] + found if count > len(found) else found
            if len(found) >= count:
                break
    return found


def _parse(raw: bytes) -> Line | None:
    """An entry, None for an empty or damaged line."""
    try:
        entry: dict[str, Any] = json.loads(raw)
        return Line(str(entry["time"]), str(entry["stream"]), str(entry["log"]))
    except (ValueError, KeyError, TypeError):
        return None
