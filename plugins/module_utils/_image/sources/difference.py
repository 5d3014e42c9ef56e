# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changed in a container against its image: its upper directory read against the layers below."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..._kernel import tree
from ..layers import lower
from ..layers.overlay_marks import is_opaque, is_whiteout
from ..layers.policy import DEEPEST
from . import mount_points

ADDED, CHANGED, DELETED = "added", "changed", "deleted"


@dataclass(frozen=True)
class Difference:
    """A path (as text, odd bytes escaped as Python does) and what became of it."""

    path: str
    what: str


def differences(upper: str, layers: Sequence[str], mounted: Iterable[str] = ()) -> tuple[Difference, ...]:
    """In path order. ``layers`` are an image's, topmost first; ``mounted`` is where something is mounted in the
    container (mount_points.made). Raises OSError, KernelError.

    A directory that overlayfs brought up for the sake of a file in it has not changed itself. Of a directory that is
    gone its own name is listed. What lies deeper than a layer may hold is not listed.
    """
    try:
        root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ()
    below = tuple(reversed(layers))
    without = mount_points.made(upper, layers, mounted)
    try:
        with contextlib.closing(tree.walk(root, DEEPEST, without)) as nodes:
            found = list(_compared(root, nodes, below))
    finally:
        os.close(root)
    return tuple(sorted(found, key=lambda difference: difference.path))


def _compared(root: int, nodes: Iterable[tree.Node], below: Sequence[str]) -> Iterator[Difference]:
    # Of the directories on the way, from the root on: whether all in them is new, and whether they hide what is below.
    new, hiding = [False], [is_opaque(root)]
    if hiding[-1]:
        yield from _hidden(root, b"", below)
    for node in nodes:
        del new[node.depth :], hiding[node.depth :]
        there = None if new[-1] else _status_below(node.path, below)
        if is_whiteout(node.status):
            if there is not None:
                yield _difference(node.path, DELETED)
            continue
        if there is None:
            yield _difference(node.path, ADDED)
        elif not stat.S_ISDIR(node.status.st_mode) or _attributes(node.status) != _attributes(there):
            yield _difference(node.path, CHANGED)
        if node.fd >= 0:
            new.append(there is None or not stat.S_ISDIR(there.st_mode))
            # overlayfs marks the topmost of the directories that are made anew: those in it hide just as much.
            hiding.append(hiding[-1] or is_opaque(node.fd))
            if hiding[-1] and not new[-1]:
                yield from _hidden(node.fd, node.path, below)


def _hidden(fd: int, path: bytes, below: Sequence[str]) -> Iterator[Difference]:
    """The names that a directory takes out of sight."""
    here = {os.fsencode(name) for name in os.listdir(fd)}
    for name in sorted(_names_below(path, below) - here):
        yield _difference(path + b"/" + name if path else name, DELETED)


def _names_below(path: bytes, below: Sequence[str]) -> set[bytes]:
    """The names that the layers show in a directory."""
    shown: set[bytes] = set()
    for number in range(len(below)):
        fd = lower.find(path, below[number : number + 1])
        if fd is None:
            continue
        try:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                shown |= {os.fsencode(name) for name in os.listdir(f"/proc/self/fd/{fd}")}
        finally:
            os.close(fd)
    return {name for name in shown if _status_below(path + b"/" + name if path else name, below) is not None}


def _status_below(path: bytes, below: Sequence[str]) -> os.stat_result | None:
    fd = lower.find(path, below)
    if fd is None:
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _difference(path: bytes, what: str) -> Difference:
    return Difference("/" + os.fsdecode(path), what)


def _attributes(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid
