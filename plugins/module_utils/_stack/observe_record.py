# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a stack: which objects it made, so that those it no longer names are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._boot.resource import recorded
from .._core.errors import Refused
from .._core.files import MakeDirectory, RemoveFile, WriteFile
from .._core.observe_world import World
from .._core.operation import Operation, Plan
from .._core.resource import Resource
from .._core.units import RemoveIfEmpty
from .._kernel import files, locations
from .records import LOCK, RECORD_VERSION, Recorded, record_path


@dataclass(frozen=True)
class RecordObserved:
    """What is written of the stack, and who else names which object."""

    document: Mapping[str, Any] | None
    others: Mapping[str, str]


class RecordResource(Resource[Recorded, RecordObserved]):
    """One file; an object belongs to one stack, or to none."""

    name = "stack"
    keeps = (locations.STATE,)

    def locks(self, desired: Recorded) -> tuple[str, ...]:
        return (LOCK,)

    def observe(self, desired: Recorded, world: World) -> RecordObserved:
        others = {key: name for name in names(world) if name != desired.name for key in read(name, world).objects}
        return RecordObserved(world.files.document(record_path(desired.name)), others)

    def plan(self, desired: Recorded, observed: RecordObserved) -> Plan:
        for key in desired.objects:
            if key in observed.others:
                raise Refused(f"{key} belongs to stack {observed.others[key]}: take it out of that one first")
        before, path = observed.document, record_path(desired.name)
        if not desired.objects:
            gone: tuple[Operation, ...] = (RemoveFile(path), *map(RemoveIfEmpty, (locations.STACKS, locations.STATE)))
            return Plan(gone if before is not None else ())
        after = {**(before or {}), "version": RECORD_VERSION, "objects": _plain(desired.objects)}
        if after == before:
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
