# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache stays bounded: images and snapshots that nobody has used for a while go, the longest unused first, and what
runs of checkouts have left that are gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable

from . import record, snapshot, store
from .store import Say

#: How many stay in any case: about three versions of everything that the scenarios need.
KEPT = {"images": 6, "snapshots": 9}
RECENT = 24 * 3600.0  #: seconds; what was used since then stays too, as another run may be about to use it


def used(paths: Iterable[str]) -> None:
    """Note that these images and snapshots are in use now."""
    now = time.time()
    for path in paths:
        os.utime(path, (now, now))


def prune(say: Say) -> list[str]:
    """Remove what is old; nothing while any machine runs, as its disk may lie on it. Returns what was removed."""
    if next(record.living(), None) is not None:
        return []
    removed = _remove(path for kind in KEPT for path in _old(kind))
    images = set(store.listed("images"))
    removed += _remove(path for path in _all("snapshots") if snapshot.image_of(path) not in images)
    removed += _remove(_abandoned())
    if removed:
        say(f"removed {len(removed)} old images, snapshots and runs from {store.root()}")
    return removed


def _remove(paths: Iterable[str]) -> list[str]:
    removed = list(paths)
    for path in removed:
        shutil.rmtree(path, ignore_errors=True)
    return removed


def _all(kind: str) -> list[str]:
    return [os.path.join(store.root(), kind, name) for name in store.listed(kind)]


def _old(kind: str) -> list[str]:
    """Those that come after the newest that stay, and were not used lately."""
    ages = [(_age(path), path) for path in _all(kind)]
    return [path for age, path in sorted(ages)[KEPT[kind] :] if age > RECENT]


def _age(path: str) -> float:
    """Seconds since it was last used; 0 where another run has just removed it."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - os.stat(path).st_mtime
    return 0.0


def _abandoned() -> list[str]:
    """What a checkout's runs have left (logs, or all of a run that was killed), once it is gone for a while."""
    return [
        path
        for kind in ("runs", "molecule")
        for path in _all(kind)
        if not record.has_checkout(os.path.join(store.root(), "runs", os.path.basename(path))) and _age(path) > RECENT
    ]
