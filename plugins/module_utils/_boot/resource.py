# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resources that come back at boot: what is kept for it, and the code that does it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic
from urllib.parse import unquote

from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import Desired, Observed, Resource
from .._core.units import LIBRARY
from .._kernel import files, locations, record_file, systemd
from .plan import BootState, Service, plan_boot_first, plan_boot_last, record_path


@dataclass(frozen=True)
class Boot:
    """What boot has to know of a desired state. ``name`` is its own among those of its module, ``keep`` whether it is
    to come back, ``params`` the options to keep, None where the resource keeps a record of its own."""

    name: str
    keep: bool
    params: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Restorable(Generic[Desired]):
    """An object to bring back. ``desired`` reads its record, and may raise what that can: one that is damaged, or whose
    devices are gone, is no reason to leave out the others."""

    name: str
    desired: Callable[[], Desired]


class BootableResource(Resource[Desired, Observed]):
    """A resource whose objects come back at boot where systemd runs."""

    #: What locks() answers for any object.
    lock_names: tuple[str, ...] = ()
    #: The unit that brings them back.
    service: Service

    def locks(self, desired: Desired) -> tuple[str, ...]:
        return self.lock_names

    def boot(self, desired: Desired) -> Boot | None:
        """None where the object has nothing to do with boot, then or now."""
        raise NotImplementedError

    def library(self) -> Any:
        """The code that the unit runs, as HostCode."""
        raise NotImplementedError

    def declared(self, world: World) -> Iterator[str]:
        """Everything that the unit brings back, as KIND/NAME."""
        yield from (f"{self.name}/{name}" for name in recorded(f"{locations.BOOT}/{self.name}", world))

    def restorable(self) -> Iterator[Restorable[Desired]]:
        """Every object that boot brings back; those with records kept by us unless the resource says otherwise."""
        for name in recorded(f"{locations.BOOT}/{self.name}", World()):
            yield Restorable(unquote(name, errors="surrogateescape"), partial(self._recorded, name))

    def _recorded(self, name: str) -> Desired:
        path = record_path(f"{self.name}/{name}")
        record = record_file.read(path)
        # Records were once the options alone.
        params = record.get("params", record) if record is not None else None
        if not isinstance(params, Mapping):
            raise files.damaged(path)
        return self.desired(params)

    def complete(self, desired: Desired, plan: Plan, world: World) -> Plan:
        boot = self.boot(desired)
        if boot is None:
            return plan
        key = f"{self.name}/{boot.name}"
        state = self.observe_boot(key, world)
        if boot.keep:
            return replace(plan, operations=(*plan_boot_first(state, key, boot.params), *plan.operations))
        last = plan_boot_last(state, key, bool(plan.operations))
        return replace(plan, operations=(*plan.operations, *last))

    def observe_boot(self, key: str, world: World) -> BootState:
        """What is there for boot. Raises KernelError."""
        path = record_path(key)
        text = world.files.text(path)
        code, service = self.library(), self.service
        return BootState(
            systemd=world.read(systemd.running),
            library=world.part((LIBRARY, service.what), code.installed),
            library_wanted=world.part((LIBRARY, service.what, "wanted"), code.version),
            unit=world.files.text(service.path),
            enabled=world.read(systemd.starts_at_boot, service.unit),
            declared=frozenset(self.declared(world)),
            records={} if text is None else {path: text},
            service=replace(service, state=world.read(_places_of_state)),
        )


def places(paths: Iterable[str]) -> tuple[str, ...]:
    """The paths as they are named, and where links lead: of both systemd is to make the mounts."""
    named = list(paths)
    real = [os.path.realpath(path.encode("utf-8", "surrogateescape")) for path in named]
    return tuple(dict.fromkeys([*named, *(path.decode("utf-8", "surrogateescape") for path in real)]))


def _places_of_state() -> tuple[str, ...]:
    return places([locations.STATE])


def recorded(directory: str, world: World) -> list[str]:
    """Names of the records in a directory of ours, without what is half-written; none where there is no directory."""
    names = world.files.names(directory)
    return [name[: -len(".json")] for name in names if name.endswith(".json") and not name.startswith(".")]
