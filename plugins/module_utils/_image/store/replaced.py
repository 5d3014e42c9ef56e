# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damaged layers that were replaced while containers ran on them.

An overlay shows nothing of a lowerdir that is removed below it, but does not mind its renaming: the old directory is
kept under another name until the containers that were started before have ended.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..._kernel import cgroup, container_records, files, process
from .store import Store

_PREFIX = ".old-"
_NAME = re.compile(r"\.old-([0-9a-f]+)-([0-9a-f]+)-([0-9]+)")
#: A container that was being launched while the layer was replaced may have mounted the old one.
_SECONDS_TO_LAUNCH = 10


def is_old(name: str) -> bool:
    """Whether a directory below layers/ is one that was replaced."""
    return name.startswith(_PREFIX)


def old_home(home: str) -> str:
    """The name under which the layer at ``home`` is kept if it is replaced now."""
    place, key = os.path.split(home)
    return f"{place}/{_PREFIX}{key}-{_boot()}-{_ticks()}"


def over(store: Store) -> tuple[str, ...]:
    """The replaced layers that no container runs on any more. Raises KernelError."""
    return tuple(path for path, users in _old(store) if not users)


def users(store: Store) -> tuple[str, ...]:
    """The containers that still run on a replaced layer. Raises KernelError."""
    return tuple(sorted({name for _path, names in _old(store) for name in names}))


def running_on(store: Store, home: str) -> tuple[str, ...]:
    """The containers that run on the layer at ``home``, whichever image they are made from. Raises KernelError."""
    return tuple(name for name, _started in _running(store, home))


def _old(store: Store) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each replaced layer, and the containers that run on it."""
    place = f"{store.root}/layers"
    for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
        if not is_old(name):
            continue
        match = _NAME.fullmatch(name)
        if match is None or match[2] != _boot():
            yield f"{place}/{name}", ()
            continue
        until = int(match[3]) + _SECONDS_TO_LAUNCH * os.sysconf("SC_CLK_TCK")
        running = _running(store, f"{place}/{match[1]}")
        yield f"{place}/{name}", tuple(container for container, started in running if started <= until)


def _running(store: Store, home: str) -> Iterator[tuple[str, int]]:
    """The containers whose launcher mounts that layer, and when the oldest process of each began."""
    for name in store.container_names():
        launch = container_records.read_launch(name, store.containers)
        if launch is None or f"{home}/fs" not in _lowerdirs(launch):
            continue
        pids = cgroup.processes(str(launch.get("cgroup", "/nowhere")), recursive=True)
        # One that this PID namespace does not see (0) may be as old as any.
        started = [process.start_time(pid) if pid else 0 for pid in pids]
        if alive := [when for when in started if when is not None]:
            yield name, min(alive)


def _lowerdirs(launch: Mapping[str, Any]) -> list[Any]:
    rootfs = launch.get("rootfs")
    found = rootfs.get("lowerdirs") if isinstance(rootfs, Mapping) else None
    return found if isinstance(found, list) else []


def _boot() -> str:
    return (files.read_text("/proc/sys/kernel/random/boot_id") or "").strip().replace("-", "")


def _ticks() -> int:
    """Now, as processes' start times are counted."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
