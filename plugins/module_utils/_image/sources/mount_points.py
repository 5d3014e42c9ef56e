# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container's runtime made in its upper directory to mount something on: nothing that the container wrote."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._kernel import openat2
from ..._kernel.errors import KernelError
from ..layers import find, lower

_RESOLVE = openat2.RESOLVE_IN_ROOT | openat2.RESOLVE_NO_SYMLINKS
#: How the runtime makes the directories on the way to a mount point.
_MADE = (0o755, 0, 0)


def mounted(bundle: Any) -> tuple[str, ...]:
    """Where the configuration of an OCI bundle mounts something."""
    mounts = bundle.get("mounts") if isinstance(bundle, Mapping) else None
    return tuple(str(entry["destination"]) for entry in mounts or () if entry.get("destination"))


def made(upper: str, layers: Sequence[str], destinations: Iterable[str]) -> frozenset[bytes]:
    """The paths below ``upper`` that are mount points and no more than that: nothing is in them, and the image, whose
    ``layers`` are given topmost first, has nothing there; and the directories that were made for their sake alone.

    Raises OSError, KernelError.
    """
    below = tuple(reversed(layers))
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    found: set[bytes] = set()
    try:
        real = _real(upper, layers, list(destinations))
        paths = {os.fsencode(os.path.normpath("/" + path).strip("/")) for path in real} - {b""}
        for path in sorted(paths, reverse=True):  # what lies in another comes before it
            if _empty(root, path, found) and _absent(path, below):
                found.add(path)
        parents = {b"/".join(path.split(b"/")[:depth]) for path in found for depth in range(1, path.count(b"/") + 1)}
        for path in sorted(parents - found, reverse=True):
            if _empty(root, path, found, of=_MADE) and _absent(path, below):
                found.add(path)
    finally:
        os.close(root)
    return frozenset(found)


def _real(upper: str, layers: Sequence[str], destinations: Sequence[str]) -> Sequence[str]:
    """Where the runtime made them: at the end of the symlinks that were in the way."""
    try:
        with find.Stack([upper, *layers]) as root:
            return [root.find(path).path for path in destinations]
    except find.CannotTell:
        return destinations


def _absent(path: bytes, below: Sequence[str]) -> bool:
    fd = lower.find(path, below)
    if fd is not None:
        os.close(fd)
    return fd is None


def _empty(root: int, path: bytes, but_for: set[bytes], of: tuple[int, int, int] | None = None) -> bool:
    """Whether there is an empty file, or a directory that holds no more than what is known."""
    try:
        fd = openat2.openat2(root, path, os.O_PATH | os.O_NOFOLLOW, resolve=_RESOLVE)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    try:
        status = os.fstat(fd)
        if of is not None and (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) != of:
            return False
        if stat.S_ISDIR(status.st_mode):
            names = os.listdir(f"/proc/self/fd/{fd}")
            return all(path + b"/" + os.fsencode(name) in but_for for name in names)
        return stat.S_ISREG(status.st_mode) and status.st_size == 0
    finally:
        os.close(fd)
