# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .._core.ip_text import ip_address

_LOCAL = (
    "127.0.0.1 localhost",
    "::1 localhost ip6-localhost ip6-loopback",
)


#: hosts(5) of Debian: an address of its own for a machine's name where there is no other.
LONELY = "127.0.1.1"


@dataclass(frozen=True)
class Neighbour:
    """A container as others know it: its addresses (without prefix) by network, and its names there."""

    name: str
    addresses: Mapping[str, Sequence[str]]
    names: Mapping[str, Sequence[str]]


def hosts(own: Neighbour, neighbours: Iterable[Neighbour], extra: Mapping[str, str]) -> str:
    """hosts(5): itself, what was declared, then every container on a network it shares, by name."""
    lines = list(_LOCAL)
    lines += [f"{address} {name}" for name, address in sorted(extra.items())]
    lines += _entries(own, own.addresses)
    for neighbour in sorted(neighbours, key=lambda n: n.name):
        if neighbour.name != own.name:
            lines += _entries(neighbour, own.addresses)
    return "".join(f"{line}\n" for line in lines)


def _entries(who: Neighbour, networks: Iterable[str]) -> list[str]:
    return [
        " ".join([address, *who.names.get(network, (who.name,))])
        for network in networks
        for address in who.addresses.get(network, ())
    ]


@dataclass(frozen=True)
class Resolver:
    """resolv.conf(5): its text, the servers that it names, and those of the host that it leaves out."""

    text: str
    servers: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def resolv_conf(
    host: str,
    servers: Sequence[str] | None,
    search: Sequence[str],
    options: Sequence[str],
    versions: frozenset[int] | None = frozenset((4, 6)),
) -> Resolver:
    """``servers`` None takes the host's that can be reached from a network of its own with those IP ``versions``;
    None for them: from the host's."""
    inherited = [line.split() for line in host.splitlines() if line.strip() and line.strip()[0] not in "#;"]
    left_out: tuple[str, ...] = ()
    if servers is None:
        listed = [words[1] for words in inherited if words[0] == "nameserver" and len(words) > 1]
        servers = [s for s in listed if versions is None or _reachable(s, versions)]
        left_out = tuple(s for s in listed if s not in servers)
    if not search:
        search = next((words[1:] for words in reversed(inherited) if words[0] in ("search", "domain")), ())
    lines = [f"nameserver {server}" for server in servers]
    if search:
        lines.append("search " + " ".join(search))
    if options:
        lines.append("options " + " ".join(options))
    return Resolver("".join(f"{line}\n" for line in lines), tuple(servers), left_out)


def _reachable(server: str, versions: frozenset[int]) -> bool:
    """Loopback and 0.0.0.0 are the container itself, and an IPv6 link-local address is on a link that it is not on.

    Those of IPv4 are routed as any other: the resolver of many clouds, 169.254.169.254, is reached by the host's route.
    """
    try:
        address = ip_address(server)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    of_link = address.version == 6 and address.is_link_local
    elsewhere = address.is_loopback or address.is_unspecified or of_link or address.is_multicast
    return not elsewhere and address.version in versions
