# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bridge_network: a bridge with gateway addresses, NAT, published ports and isolation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from .._boot.declared import DeclaredResource
from .._boot.resource import Boot, Restorable
from .._core.names import check_name
from .._core.observe_world import World
from .._core.operation import Plan
from .._kernel import locations
from . import nft_table
from . import plan as bridge
from .plan import Desired, Observed
from .recorded import read_network, read_networks, recorded
from .records import LOCK, Network

SYSCTL_RECORD = locations.STATE + "/sysctls.json"


class NetworkResource(DeclaredResource[Desired, Observed]):
    """One network. Two at once would race for subnets, sysctls and the table: they take turns."""

    name = "bridge_network"
    needs_pyroute2 = True
    lock_names = (LOCK, nft_table.LOCK)

    def desired(self, params: Mapping[str, Any]) -> Desired:
        from .options import desired_from

        return desired_from(params)

    def observe(self, desired: Desired, world: World) -> Observed:
        from .observe import observe

        return observe(desired, world)

    def plan(self, desired: Desired, observed: Observed) -> Plan:
        return bridge.plan(desired, observed)

    def facts(self, desired: Desired, observed: Observed) -> dict[str, Any]:
        return {"network": facts_of(desired.name, observed)}

    def boot(self, desired: Desired) -> Boot:
        # The network's own record is all that boot needs.
        return Boot(desired.name, desired.network is not None)

    def restorable(self) -> Iterator[Restorable[Desired]]:
        return (Restorable(name, partial(_desired_from_name, name)) for name in recorded(World()))


class NetworkInfo:
    """bridge_network_info: what is declared and what lives."""

    name = "bridge_network_info"
    needs_pyroute2 = True

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """``name`` None means all. Raises OptionError, KernelError."""
        from .observe import observe

        world, wanted = World(), params.get("name")
        if wanted is not None:
            check_name("name", wanted)
        networks = read_networks(world) if wanted is None else filter(None, [read_network(wanted, world)])
        return {"networks": [facts_of(n.name, observe(Desired(n.name, n.bridge, None), world)) for n in networks]}


def facts_of(name: str, observed: Observed) -> dict[str, Any]:
    """The live state as the modules return it, {} for a network that does not exist."""
    facts = bridge.view(name, observed)
    if not facts:
        return {}
    record = observed.record
    return {
        **facts,
        "gateways": list(record.gateways) if record else [],
        "subnets": [str(s) for s in record.subnets] if record else [],
        "ports": sorted(p for b in observed.bridges for p in b.ports),
    }


def desired_from_record(network: Network) -> Desired:
    """What brings a recorded network back after a reboot: converge(NetworkResource(), desired_from_record(n))."""
    return Desired(network.name, network.bridge, network)


def _desired_from_name(name: str) -> Desired:
    return (
        Desired(name, name, None) if (network := read_network(name, World())) is None else desired_from_record(network)
    )
