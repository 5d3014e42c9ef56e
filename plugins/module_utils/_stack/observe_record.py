# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a stack: which objects it made, so that those it no longer names are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

from .._boot.resource import recorded
from .._core.files import MakeDirectory, RemoveFile, WriteFile
from .._core.observe_world import World
from .._core.operation import Operation, Plan
from .._core.resource import Resource
from .._core.units import RemoveIfEmpty
from .._kernel import files, locations
from .records import LOCK, RECORD_VERSION, Recorded, record_path


class RecordResource(Resource[Recorded, Optional[Mapping[str, Any]]]):
    """One file; what is written of the stack in it, None for nothing."""

    name = "stack"
    keeps = (locations.STATE,)

    def locks(self, desired: Recorded) -> tuple[str, ...]:
        return (LOCK,)

    def observe(self, desired: Recorded, world: World) -> Mapping[str, Any] | None:
        return world.files.record(record_path(desired.name), RECORD_VERSION)

    def plan(self, desired: Recorded, observed: Mapping[str, Any] | None) -> Plan:
        path = record_path(desired.name)
        if not desired.objects:
            gone: tuple[Operation, ...] = (RemoveFile(path), *map(RemoveIfEmpty, (locations.STACKS, locations.STATE)))
            return Plan(gone if observed is not None else ())
        after = {**(observed or {}), "version": RECORD_VERSION, "objects": _plain(desired.objects)}
        if after == observed:
            return Plan()
        text = json.dumps(after, indent=1, sort_keys=True) + "\n"
        return Plan((MakeDirectory(locations.STACKS, 0o700), WriteFile(path, text, why="what the stack consists of")))


def _plain(objects: Mapping[str, Mapping[str, Any]]) -> Any:
    """As JSON has it, so that it can be compared with what was read."""
    return json.loads(json.dumps(objects))


def names(world: World) -> list[str]:
    """Of the stacks on this host."""
    return recorded(locations.STACKS, world)


def read(name: str, world: World) -> Recorded:
    """A stack as it was left; an empty one where there is none. Raises KernelError."""
    path = record_path(name)
    document = world.files.record(path, RECORD_VERSION)
    if document is None:
        return Recorded(name)
    if not isinstance(document.get("objects"), Mapping):
        raise files.damaged(path)
    return Recorded(name, document["objects"])


def owners(without: str, world: World) -> dict[str, str]:
    """The objects of all other stacks, each with the name of its stack. Raises KernelError."""
    return {key: name for name in names(world) if name != without for key in read(name, world).objects}
