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
from .._core.errors import OptionError
from .._core.files import MakeDirectory, RemoveFile, WriteFile
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import Resource
from .._core.units import RemoveIfEmpty, left_empty
from .._kernel import files, locations
from .records import LOCK, RECORD_VERSION, Recorded, record_path


@dataclass(frozen=True)
class RecordObserved:
    """What is written of the stack, None for nothing; which of its objects are another one's; and ``left``, the
    directory of the records where a removal that was killed has left it empty."""

    document: Mapping[str, Any] | None
    owners: Mapping[str, str]
    left: tuple[str, ...]


class RecordResource(Resource[Recorded, RecordObserved]):
    """One file. Whoever writes it first has the objects; ``owners`` is asked before, without the lock."""

    name = "stack"
    keeps = (locations.STATE,)

    def locks(self, desired: Recorded) -> tuple[str, ...]:
        return (LOCK,)

    def observe(self, desired: Recorded, world: World) -> RecordObserved:
        owned = owners(desired.name, world) if desired.objects else {}
        return RecordObserved(
            world.files.record(record_path(desired.name), RECORD_VERSION),
            {key: owned[key] for key in desired.objects if key in owned},
            tuple(left_empty((locations.STACKS,), world)),
        )

    def plan(self, desired: Recorded, observed: RecordObserved) -> Plan:
        path, before = record_path(desired.name), observed.document
        for key, name in observed.owners.items():
            raise OptionError("name", desired.name, f"{key} {belongs_to(name)}")
        if not desired.objects:
            if before is None:
                return Plan(tuple(map(RemoveIfEmpty, observed.left)))
            return Plan((RemoveFile(path), *map(RemoveIfEmpty, (locations.STACKS, locations.STATE))))
        after = {**(before or {}), "version": RECORD_VERSION, "objects": _plain(desired.objects)}
        if after == before:
            return Plan()
        text = json.dumps(after, indent=1, sort_keys=True) + "\n"
        return Plan((MakeDirectory(locations.STACKS, 0o700), WriteFile(path, text, why="what the stack consists of")))


def belongs_to(name: str) -> str:
    """Why an object of another stack cannot be a part of this one."""
    return f"belongs to stack {name}: take it out of that one first"


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
