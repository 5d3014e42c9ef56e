# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network as declared: what is recorded at /var/lib/barekernel/networks/NAME.json."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Union

from .._core.ip_text import ip_interface
from .._kernel import record_file

#: Held by whoever reads or changes the networks declared on the host.
LOCK = "networks"
Interface = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]
Subnet = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class PortRange:
    """Ports of the host published to ports of a target: ``[ADDRESS:]FIRST[-LAST]:TARGET[-LAST][/PROTOCOL]``.

    ``address`` None means any address of the host, of both families. ``count`` ports, from ``host_port`` on the host
    and from ``target_port`` on the target. ``protocol`` is tcp or udp.
    """

    host_port: int
    target_port: int
    count: int = 1
    protocol: str = "tcp"
    address: str | None = None

    def __str__(self) -> str:
        host = "" if self.address is None else f"[{self.address}]:" if ":" in self.address else f"{self.address}:"
        return f"{host}{_span(self.host_port, self.count)}:{_span(self.target_port, self.count)}/{self.protocol}"


@dataclass(frozen=True)
class Published:
    """What one target publishes: its addresses without prefix (at most one of each family) and its ports."""

    addresses: tuple[str, ...]
    ports: tuple[PortRange, ...]


@dataclass(frozen=True)
class Network:
    """A declared network. ``addresses`` are the gateway's with prefix (``10.88.0.1/24``), normalised."""

    name: str
    bridge: str
    addresses: tuple[str, ...]
    mac: str
    mtu: int = 1500
    nat: bool = True
    isolate: bool = True
    published: tuple[Published, ...] = ()
    #: What a newer version of the collection has recorded besides.
    others: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """The gateway addresses as ipaddress objects."""
        return tuple(ip_interface(address) for address in self.addresses)

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        """The subnets, in the order of the addresses."""
        return tuple(interface.network for interface in self.interfaces)

    @property
    def gateways(self) -> tuple[str, ...]:
        """The gateway addresses without prefix."""
        return tuple(str(interface.ip) for interface in self.interfaces)

    @property
    def owner(self) -> str:
        """How the network's elements in our nftables table and its bridge's alias name it."""
        return f"network/{self.name}"


_FIELDS = {each.name for each in fields(Network)} - {"others"}
_OF_PORTS = {each.name for each in fields(PortRange)}


def to_json(network: Network) -> dict[str, Any]:
    """The record as plain data."""
    plain = {**vars(network), **network.others, record_file.VERSION: record_file.FIRST}
    del plain["others"]
    plain["addresses"] = list(network.addresses)
    plain["published"] = [
        {"addresses": list(p.addresses), "ports": [dict(vars(port)) for port in p.ports]} for p in network.published
    ]
    return plain


def from_json(plain: Mapping[str, Any]) -> Network:
    """The inverse of to_json. Raises KeyError or TypeError for a record of another shape."""
    values = record_file.known(plain, _FIELDS)
    published = tuple(
        Published(tuple(p["addresses"]), tuple(PortRange(**record_file.known(port, _OF_PORTS)) for port in p["ports"]))
        for p in plain["published"]
    )
    others = record_file.others(plain, _FIELDS)
    return Network(**{**values, "addresses": tuple(plain["addresses"]), "published": published, "others": others})


def _span(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"
