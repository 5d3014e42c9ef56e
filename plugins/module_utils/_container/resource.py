# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container: a whole container as one resource."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from .._boot.declared import DeclaredResource
from .._boot.resource import Boot, Restorable
from .._cgroup.observe import resources_for
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import CommandFailed, Resource
from .._image.store.store import CONTAINERS_LOCK
from .._kernel import cgroup_state, container_records, files, locations
from .._runtime.supervise import control
from .._runtime.supervise.control import Supervised
from . import observe_network
from .documents import directory
from .facts import facts
from .observe import observe
from .observe_hosts import observe_hosts
from .observe_mounted import mounted
from .observed import ContainerObserved
from .options import container_from, container_of
from .plan import plan_container
from .plan_declared import dropped, meant, options_of
from .plan_hosts import HostsObserved, plan_hosts
from .plan_resolve import check_limits
from .records import Container


class ContainerResource(DeclaredResource[Container, ContainerObserved]):
    """Desired, observed and planned as everything else; ``restarted`` is an event, after which it is started."""

    name = "ns_container"
    keeps = (locations.STATE, locations.LIBRARY, locations.IMAGES, locations.CONTAINERS, locations.VOLUMES)
    keeps_layers = True
    needs_pyroute2 = True
    #: Every change of a container looks at the others' addresses, hosts files and ID ranges, and at its image.
    lock_names = (CONTAINERS_LOCK, *observe_network.LOCKS)

    def desired(self, params: Mapping[str, Any]) -> Container:
        return container_from(params)

    def followers(self) -> tuple[Resource[Any, Any], ...]:
        return (HostsFiles(),)

    def observe(self, desired: Container, world: World) -> ContainerObserved:
        if desired.limits_required and desired.state != "absent":
            # Before anything is read that a host without its packages does not have.
            check_limits(desired, resources_for(desired.limits), world.read(cgroup_state.find_hierarchy))
        if desired.just_started:
            control.wait_first_moments(desired.name)
        return observe(desired, world)

    def own_locks(self, desired: Container) -> tuple[str, ...]:
        return (control.lock_of(desired.name),)

    def before(self, desired: Container, world: World) -> tuple[Supervised, World]:
        return world.read(control.observe, desired.name), world

    def as_before(self, desired: Container, before: tuple[Supervised, World], world: World) -> None:
        """What only its process shows was read in the earlier world."""
        from .._kernel import namespaces, process_mounts  # here: most tasks end nothing

        supervised, earlier = before
        world.expect(supervised, control.observe, desired.name)
        shown = mounted, namespaces.identity_of_process, process_mounts.identity, process_mounts.tmpfs_used
        for reader in shown:
            for arguments, value in earlier.known(reader):
                if arguments[:2] == (supervised.pid, supervised.start_time):
                    world.expect(value, reader, *arguments)

    def starting(self) -> AbstractContextManager[object]:
        return control.many_starts()

    def settle(self, desired: Container) -> None:
        if desired.state != "absent":
            control.wait_first_moments(desired.name)

    def runs_on(self, desired: Container) -> bool:
        control.wait_first_moments(desired.name)
        return not control.observe(desired.name).failed

    def await_condition(self, desired: Container, condition: str) -> None:
        from .observe_conditions import await_completed, await_healthy  # here: only a stack asks

        (await_healthy if condition == "healthy" else await_completed)(desired.name)

    def plan(self, desired: Container, observed: ContainerObserved) -> Plan:
        wanted = meant(desired, observed.recorded)
        if desired.just_started:
            _check_survived(desired, observed)
        plan = plan_container(wanted, observed)
        less = dropped(wanted, observed.recorded) if wanted is desired else ()
        return replace(plan, warnings=(*plan.warnings, *less))

    def boot(self, desired: Container) -> Boot:
        # container.json is its record; boot needs no other.
        return Boot(desired.name, desired.state != "absent")

    def restorable(self) -> Iterator[Restorable[Container]]:
        # Its network and files; its process is the business of its own unit.
        for name in container_records.names():
            if os.path.lexists(f"{directory(name)}/container.json"):
                yield Restorable(name, partial(_declared, name))

    def settled(self, desired: Container) -> Container:
        state = "started" if desired.state == "restarted" else desired.state
        # What only named a state is by now what is recorded, whichever of the two it meant.
        image = desired.image if options_of(desired) else None
        return replace(desired, state=state, image=image, just_started=state == "started")

    def facts(self, desired: Container, observed: ContainerObserved) -> dict[str, Any]:
        wanted = meant(desired, observed.recorded)
        return {"container": facts(wanted, observed) if wanted.state != "absent" else {}}


def _declared(name: str) -> Container:
    """As recorded. Raises KernelError, OptionError."""
    record = container_records.read(name)
    if record is None or not isinstance(record.get("params"), Mapping):
        raise files.damaged(f"{directory(name)}/container.json")
    return container_of(record)


class HostsFiles(Resource[None, HostsObserved]):
    """/etc/hosts of every container, with the names of those that share a network with it.

    It follows whatever adds, changes or removes a container: the names of one are in the files of others.
    """

    name = "hosts"

    def observe(self, desired: None, world: World) -> HostsObserved:
        return observe_hosts(world)

    def plan(self, desired: None, observed: HostsObserved) -> Plan:
        return plan_hosts(observed)


def _check_survived(desired: Container, observed: ContainerObserved) -> None:
    """A container that failed as soon as it was started is an error with its own last words."""
    supervised = observed.supervised
    if not supervised.failed:
        return
    from .logs import last_lines, without_values

    how = f"was killed by {supervised.signal}" if supervised.signal else f"exited with code {supervised.exit_code}"
    launch, since = observed.documents.get("launch"), supervised.started_at
    said = "\n".join(last_lines(desired.name, launch, 10, since)) if since else ""
    said = without_values(said, meant(desired, observed.recorded).env)
    raise CommandFailed(
        f"container {desired.name} {how} immediately after starting"
        + (f": {supervised.error}" if supervised.error else "")
        + (f". Last log lines:\n{said}" if said else "; it wrote nothing"),
        {"container": facts(meant(desired, observed.recorded), observed)},
    )
