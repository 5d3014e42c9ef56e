# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of the host, and of its other containers, a container depends on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from .._boot.resource import places
from .._cgroup.observe import resources_for
from .._core.observe_containers import declared
from .._core.observe_world import World
from .._kernel import locations, subids, systemd, userns
from .._network.observe_declared import declared_elements
from .._network.recorded import host_identity, read_networks
from .._runtime.supervise import control
from . import observe_network
from .observed import Host, Neighbour
from .options import container_of
from .plan_volumes import places_of
from .records import Container


def observe_host(container: Container, before: Mapping[str, Any], world: World) -> Host:
    """``before`` is the container's record. Raises KernelError."""
    listeners, holders = observe_network.listeners(container.networks, world)
    networks, table = {network.name: network for network in read_networks(world)}, observe_network.table(world)
    with_systemd = world.read(systemd.running)
    return Host(
        resolv_conf=_resolv_conf(world),
        no_idmap=world.read(userns.why_no_idmapped_layers),
        systemd=with_systemd,
        systemd_version=world.read(systemd.version) if with_systemd else 0,
        resources=resources_for(container.limits),
        identity=world.read(host_identity),
        nodename=os.uname().nodename,
        networks=networks,
        table=table,
        elements=declared_elements(networks.values(), table, world, f"container/{container.name}"),
        localnet=observe_network.localnet(
            {*(attachment.network for attachment in container.networks), *before.get("addresses", {})}, networks, world
        ),
        neighbours=tuple(_neighbour(name, record, world) for name, record in declared(world, container.name)),
        listeners=listeners,
        absent=observe_network.absent(container.networks),
        holders=holders,
        volumes=frozenset(world.files.names(locations.VOLUMES)),
        places=places(places_of(container)) if with_systemd else (),
        granted_ids=world.read(subids.granted),
    )


def _neighbour(name: str, record: Mapping[str, Any], world: World) -> Neighbour:
    supervised = world.read(control.observe, name)
    pid, start_time = (supervised.pid, supervised.start_time) if supervised.running else (None, None)
    return Neighbour(known(name, record, world), record, pid, start_time)


def known(name: str, record: Mapping[str, Any], world: World) -> Container:
    """A container as its record declares it: each record is read into one once. Raises OptionError."""
    before: dict[str, Any] = world.part((known, name), dict)
    if before.get("record") is not record:
        before.update(record=record, container=container_of(record))
    found: Container = before["container"]
    return found


def _resolv_conf(world: World) -> str:
    """The host's, or behind systemd-resolved's stub the servers it really asks (systemd-resolved.service(8))."""
    text = world.files.text("/etc/resolv.conf") or ""
    if re.search(r"^nameserver\s+(::ffff:)?127\.0\.0\.5[34]\s*$", text, re.MULTILINE):
        return world.files.text("/run/systemd/resolve/resolv.conf") or text
    return text
