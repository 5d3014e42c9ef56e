# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changed in a container against its image: its upper directory read against the layers below."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import lower
from .layer import OPAQUE_XATTR

ADDED, CHANGED, DELETED = "added", "changed", "deleted"


@dataclass(frozen=True)
class Difference:
    """A path (as text, odd bytes escaped as Python does) and what became of it."""

    path: str
    what: str


def differences(upper: str, layers: Sequence[str]) -> tuple[Difference, ...]:
    """In path order. ``layers`` are an image's, topmost first. Raises OSError, KernelError.

    A directory that overlayfs brought up for the sake of a file in it has not changed itself. What an opaque
    directory hides is listed as deleted by the names that were directly in it.
    """
    below = tuple(reversed(layers))
    found = list(_walk(os.fsencode(upper), b"", below)) if os.path.isdir(upper) else []
    return tuple(sorted(found, key=lambda difference: difference.path))


def _walk(directory: bytes, path: bytes, below: Sequence[str]) -> Iterator[Difference]:
    with os.scandir(directory) as entries:
        for entry in entries:
            inside = path + b"/" + entry.name
            status = entry.stat(follow_symlinks=False)
            there = _status_below(inside, below)
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                if there is not None:
                    yield Difference(os.fsdecode(inside), DELETED)
                continue
            if there is None:
                yield Difference(os.fsdecode(inside), ADDED)
            elif not stat.S_ISDIR(status.st_mode) or _attributes(status) != _attributes(there):
                yield Difference(os.fsdecode(inside), CHANGED)
            if entry.is_dir(follow_symlinks=False):
                yield from _hidden(entry.path, inside, below)
                yield from _walk(entry.path, inside, below)


def _hidden(directory: bytes, path: bytes, below: Sequence[str]) -> Iterator[Difference]:
    """The names that an opaque directory takes out of sight."""
    try:
        if os.getxattr(directory, OPAQUE_XATTR) != b"y":
            return
    except OSError:
        return
    here = {os.fsencode(name) for name in os.listdir(directory)}
    for name in sorted(_names_below(path, below) - here):
        yield Difference(os.fsdecode(path + b"/" + name), DELETED)


def _names_below(path: bytes, below: Sequence[str]) -> set[bytes]:
    """The names that the layers show in a directory."""
    shown: set[bytes] = set()
    for number in range(len(below)):
        fd = lower.find(path.strip(b"/"), below[number : number + 1])
        if fd is None:
            continue
        try:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                shown |= {os.fsencode(name) for name in os.listdir(f"/proc/self/fd/{fd}")}
        finally:
            os.close(fd)
    return {name for name in shown if _status_below(path + b"/" + name, below) is not None}


def _status_below(path: bytes, below: Sequence[str]) -> os.stat_result | None:
    fd = lower.find(path.strip(b"/"), below)
    if fd is None:
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _attributes(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid
