# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bridge_network's options become a desired network; what cannot be meant is refused by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from .._core.errors import OptionError
from .._core.ip_text import ip_interface, mapped
from .._core.mac import parse_mac
from .._core.names import LINK_NAME_MAX, RESERVED_LINK_NAMES, check_link_name, check_name
from .._core.quantities import IPV6_MIN_MTU
from .ipam import check_address
from .plan import Desired
from .publish import check_published, parse_ports
from .records import Network, Published

#: ETH_MIN_MTU and ETH_MAX_MTU of the kernel.
_MTU_MIN, _MTU_MAX = 68, 65535


def desired_from(params: Mapping[str, Any]) -> Desired:
    """Options as ansible's argument spec leaves them. Raises OptionError."""
    name = check_name("name", params["name"])
    bridge = check_link_name("bridge", params.get("bridge") or default_bridge(name))
    force = bool(params.get("force"))
    if params.get("state") == "absent":
        return Desired(name, bridge, None, force)
    addresses = _addresses(params.get("addresses") or ())
    network = Network(
        name=name,
        bridge=bridge,
        addresses=addresses,
        mac=parse_mac("mac", params.get("mac")) or "",
        mtu=_mtu(params.get("mtu"), addresses),
        nat=params.get("nat") is not False,
        isolate=params.get("isolate") is not False,
    )
    published = tuple(
        _published(f"published[{index}]", entry, network) for index, entry in enumerate(params.get("published") or ())
    )
    check_published("published.ports", network.owner, published)
    return Desired(name, bridge, Network(**{**vars(network), "published": published}), force)


def default_bridge(name: str) -> str:
    """The network's own name where an interface can have it, else one made of its digest."""
    if len(name) <= LINK_NAME_MAX and name not in RESERVED_LINK_NAMES:
        return name
    return "bk-" + hashlib.sha256(name.encode()).hexdigest()[:10]


def _addresses(texts: Sequence[str]) -> tuple[str, ...]:
    found: list[Any] = []
    for text in texts:
        interface = _gateway(text)
        for other in found:
            if other.version == interface.version and other.network.overlaps(interface.network):
                raise OptionError("addresses", text, f"overlaps {other}; one address a subnet")
        found.append(interface)
    return tuple(str(interface) for interface in found)


def _gateway(text: str) -> Any:
    try:
        if "/" not in text:
            raise ValueError
        interface = ip_interface(text)
    except ValueError:
        raise OptionError("addresses", text, "write the gateway's address with its prefix, like 10.88.0.1/24") from None
    if mapped(interface):
        raise OptionError("addresses", text, f"is an IPv4 address in the form of IPv6: write {mapped(interface)}")
    network = interface.network
    if network.num_addresses < 2 or network.prefixlen < 2:
        raise OptionError("addresses", text, "is no subnet that containers can share with the gateway")
    ends = (network.network_address, network.broadcast_address)[: 2 if network.version == 4 else 1]
    if network.num_addresses > 2 and interface.ip in ends:
        raise OptionError("addresses", text, f"is the network or broadcast address of {network}")
    if interface.is_multicast or interface.is_loopback or interface.is_link_local or interface.is_unspecified:
        raise OptionError("addresses", text, "is a multicast, loopback or link-local address")
    return interface


def _mtu(value: int | None, addresses: Sequence[str]) -> int:
    if value is None:
        return 1500
    least = IPV6_MIN_MTU if any(":" in a for a in addresses) else _MTU_MIN
    if not least <= value <= _MTU_MAX:
        why = " for IPv6" if least == IPV6_MIN_MTU else ""
        raise OptionError("mtu", value, f"must be from {least}{why} to {_MTU_MAX}")
    return value


def _published(option: str, entry: Mapping[str, Any], network: Network) -> Published:
    addresses: list[str] = []
    for text in entry["addresses"]:
        address, _subnet = check_address(network, text, f"{option}.addresses")
        if any((":" in a) == (address.version == 6) for a in addresses):
            raise OptionError(f"{option}.addresses", text, "is a second address of its family; add another entry")
        addresses.append(str(address))
    if not addresses:
        raise OptionError(f"{option}.addresses", entry["addresses"], "name the address that the ports lead to")
    return Published(tuple(addresses), parse_ports(f"{option}.ports", entry["ports"]))
