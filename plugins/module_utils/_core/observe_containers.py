# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The containers declared on a host, by their records (_kernel/container_records.py), as they are and will be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._kernel import container_records, locations
from .observe_world import World


def names(world: World) -> list[str]:
    """Of those that have a directory, sorted, without what is half-made."""
    return [name for name in world.files.names(locations.CONTAINERS) if not name.startswith(".")]


def read(name: str, world: World) -> dict[str, Any] | None:
    """container.json, None where there is none. Raises KernelError, EBADMSG for one that is damaged or too new."""
    return world.files.record(f"{locations.CONTAINERS}/{name}/container.json", container_records.VERSION)


def read_launch(name: str, world: World) -> dict[str, Any] | None:
    """launch.json, None where there is none. Raises KernelError as read() does."""
    return world.files.record(f"{locations.CONTAINERS}/{name}/launch.json", container_records.LAUNCH_VERSION)


def declared(world: World, without: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of every container but ``without``. Raises KernelError as read() does."""
    for name in names(world):
        record = read(name, world) if name != without else None
        if record is not None:
            yield name, record
