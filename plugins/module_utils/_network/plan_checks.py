# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What forbids a network: clashes with what the host has, and containers still attached."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from .._core.errors import Refused
from .publish import check_clashes
from .records import Network

if TYPE_CHECKING:  # the planner calls these checks
    from .plan import Observed


def check_present(network: Network, observed: Observed, force: bool) -> None:
    """Raises Refused."""
    _check_name(network, observed)
    _check_families(network, observed)
    _check_subnets(network, observed)
    _check_ports_moved(network, observed, force)
    listeners, holders = observed.listeners, dict(observed.holders)
    check_clashes("published.ports", network.owner, network.published, observed.table, listeners, holders)


def check_absent(name: str, observed: Observed, force: bool) -> None:
    """Raises Refused while something is attached."""
    attached = [port for bridge in observed.bridges for port in bridge.ports]
    if attached and not force:
        raise Refused(
            f"network {name} is in use: attached are {', '.join(attached)}; remove those containers first, "
            "or say force: true to cut them off"
        )


def _check_name(network: Network, observed: Observed) -> None:
    for other in observed.others:
        if other.bridge == network.bridge:
            raise Refused(f"bridge: {network.bridge!r}: is the bridge of network {other.name}; choose another name")
        if other.mac == network.mac:
            raise Refused(f"mac: {network.mac!r}: is the address of network {other.name}; choose another one")
    ours = {b.name for b in observed.bridges}
    kind = observed.link_kinds.get(network.bridge)
    if kind is not None and network.bridge not in ours:
        what = f"{kind} interface" if kind else "interface"
        raise Refused(f"bridge: {network.bridge!r}: is the name of a foreign {what} on this host; choose another name")


def _check_families(network: Network, observed: Observed) -> None:
    six = [a for a in network.addresses if ipaddress.ip_interface(a).version == 6]
    if six and not observed.ipv6:
        raise Refused(f"addresses: {six[0]!r}: this kernel runs without IPv6 (ipv6.disable=1); leave the address out")


def _check_subnets(network: Network, observed: Observed) -> None:
    living = {a for b in observed.bridges for a in b.addresses}
    for address, subnet in zip(network.addresses, network.subnets):
        for other in observed.others:
            for theirs in other.subnets:
                if theirs.version == subnet.version and theirs.overlaps(subnet):  # type: ignore[arg-type]
                    raise Refused(
                        f"addresses: {address!r}: {subnet} overlaps {theirs} of network {other.name}; "
                        "choose another subnet"
                    )
        if address in living:
            continue
        for taken, by in observed.taken_subnets:
            foreign = ipaddress.ip_network(taken)
            if foreign.version == subnet.version and foreign.overlaps(subnet):  # type: ignore[arg-type]
                raise Refused(
                    f"addresses: {address!r}: {subnet} overlaps {taken}, which this host reaches by {by}; "
                    "choose another subnet"
                )


def _check_ports_moved(network: Network, observed: Observed, force: bool) -> None:
    for bridge in observed.bridges:
        if bridge.name != network.bridge and bridge.ports and not force:
            raise Refused(
                f"bridge: {network.bridge!r}: the network's bridge is {bridge.name} with {', '.join(bridge.ports)} "
                "attached; remove those containers first, or say force: true to cut them off"
            )
