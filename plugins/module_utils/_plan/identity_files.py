# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_LOCAL = (
    "127.0.0.1 localhost",
    "::1 localhost ip6-localhost ip6-loopback",
)


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


def resolv_conf(
    host: str, servers: Sequence[str] | None, search: Sequence[str], options: Sequence[str]
) -> tuple[str, bool]:
    """resolv.conf(5), and whether it names a server at all.

    ``servers`` None takes the host's, except loopback ones, which a private network namespace cannot reach.
    """
    inherited = [line.split() for line in host.splitlines() if line.strip() and line.strip()[0] not in "#;"]
    if servers is None:
        servers = [
            words[1] for words in inherited if words[0] == "nameserver" and len(words) > 1 and _reachable(words[1])
        ]
    if not search:
        search = next((words[1:] for words in reversed(inherited) if words[0] in ("search", "domain")), ())
    lines = [f"nameserver {server}" for server in servers]
    if search:
        lines.append("search " + " ".join(search))
    if options:
        lines.append("options " + " ".join(options))
    return "".join(f"{line}\n" for line in lines), bool(servers)


def _reachable(server: str) -> bool:
    try:
        return not ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return False
