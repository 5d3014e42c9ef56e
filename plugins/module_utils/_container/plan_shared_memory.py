# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``shm_size``: the tmpfs that every container has at /dev/shm, unless it shows the host's. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from .._core.errors import OptionError
from .._core.operation import LIVE, RESTART, Operation
from .observed import ContainerObserved
from .operations import ResizeSharedMemory
from .records import UNDECLARED, Container

PLACE = "/dev/shm"
#: What the mount is called in mountinfo.
SOURCE = "shm"
_SIZE = "size="


def size_in(config: Mapping[str, Any] | None) -> int | None:
    """The size in bytes that config.json gives it; None where it is the host's."""
    for mount in (config or {}).get("mounts") or ():
        if mount["destination"] == PLACE and mount.get("source") == SOURCE:
            shown = next((word[len(_SIZE) :] for word in mount["options"] if word.startswith(_SIZE)), "")
            return int(shown) if shown.isdigit() else None
    return None


def without_size(mount: Mapping[str, Any]) -> dict[str, Any]:
    """A mount of config.json; that one without its size."""
    if (mount["destination"], mount.get("source")) != (PLACE, SOURCE):
        return dict(mount)
    return {**mount, "options": [word for word in mount["options"] if not word.startswith(_SIZE)]}


def is_covered(config: Mapping[str, Any] | None) -> bool:
    """Whether something declared is mounted on it, or on the directory that it is in."""
    places = [posixpath.normpath(mount["destination"]) for mount in (config or {}).get("mounts") or ()]
    return places.count(PLACE) > 1 or places.count(posixpath.dirname(PLACE)) > 1


def pages(size: int, page: int) -> int:
    """The size that the kernel makes of one, tmpfs(5)."""
    return -(-size // page) * page


def check_shared_memory(container: Container) -> None:
    """Nothing hides it where its size is declared. Raises OptionError."""
    if container.shm_size == UNDECLARED.shm_size:
        return
    for index, mount in enumerate(container.mounts):
        if mount.target in (PLACE, posixpath.dirname(PLACE)):
            why = f"is the size of what mounts[{index}].target {mount.target} hides: leave one of the two out"
            raise OptionError("shm_size", container.params["shm_size"], why)


def how_resized(container: Container, observed: ContainerObserved) -> str:
    """LIVE, unless it holds more than it is to hold, or is not found."""
    there = observed.shared_memory
    if not observed.supervised.running:
        return LIVE
    return LIVE if there is not None and there.used <= container.shm_size else RESTART


def plan_resize(container: Container, observed: ContainerObserved) -> list[Operation]:
    """Of one that runs on."""
    there, supervised = observed.shared_memory, observed.supervised
    if there is None or there.size == container.shm_size or supervised.pid is None:
        return []
    process = (supervised.pid, supervised.start_time)
    return [ResizeSharedMemory(container.name, *process, PLACE, SOURCE, container.shm_size)]
