# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our nftables table holds for a network, and whether its bridge has to let 127.0.0.1 through."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from .._kernel.nft import Element
from . import nft_table
from .host_sysctls import WriteSysctl
from .publish import publish_elements
from .records import Network


def network_elements(network: Network) -> tuple[Element, ...]:
    """The network's own elements, with its owner as comment."""
    bridge, owner = network.bridge, network.owner
    elements = [
        Element(nft_table.BRIDGES, (bridge,), (), owner),
        Element(nft_table.WITHIN, (bridge, bridge), (), owner),
    ]
    if network.isolate:
        elements.append(Element(nft_table.ISOLATED, (bridge,), (), owner))
    for subnet in network.subnets:
        elements.append(Element(nft_table.NETS[subnet.version], (str(subnet),), (), owner))
        if network.nat:
            elements.append(Element(nft_table.NAT[subnet.version], (str(subnet),), (), owner))
    return (*elements, *publish_elements(owner, network.published))


def localnet_sysctl(network: Network) -> str:
    """The parameter by which 127.0.0.1 leads into the bridge (ip-sysctl.rst, route_localnet)."""
    return f"net/ipv4/conf/{network.bridge}/route_localnet"


def needs_localnet(network: Network, elements: Iterable[Element]) -> bool:
    """Whether any of these elements publishes on 127.0.0.1 what is in that network.

    Without it the parameter stays 0, so that no member reaches the host's loopback, whatever becomes of our rules.
    """
    subnets = [s for s in network.subnets if s.version == 4]
    for element in elements:
        on_loopback = element.set_name == nft_table.ANY[4] or (
            element.set_name == nft_table.ONE[4] and ipaddress.IPv4Address(element.key[0]).is_loopback
        )
        if on_loopback and any(ipaddress.IPv4Address(element.value[0]) in subnet for subnet in subnets):
            return True
    return False


def plan_localnet(network: Network, elements: Iterable[Element], live: str | None) -> list[WriteSysctl]:
    """Have it as needed on a bridge that is there; ``live`` None where it is not."""
    wanted = "1" if needs_localnet(network, elements) else "0"
    if live in (None, wanted):
        return []
    why = "a port is published on 127.0.0.1" if wanted == "1" else "nothing is published on 127.0.0.1"
    return [WriteSysctl(localnet_sysctl(network), wanted, why)]
