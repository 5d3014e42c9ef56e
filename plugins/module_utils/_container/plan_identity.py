# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""By which names a container knows itself and others, and which nameservers it can ask. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .documents_bundle import hostname
from .documents_identity import LONELY, Neighbour, Resolver, hosts, resolv_conf
from .observed import Host
from .plan_namespaces import HOST, PRIVATE, name_of
from .records import Container, Resolved


@dataclass(frozen=True)
class Inhabitants:
    """Every declared container with its addresses by network, and what the host calls itself."""

    containers: Mapping[str, tuple[Container, Mapping[str, Iterable[str]]]]
    nodename: str


def inhabitants(container: Container, resolved: Resolved, host: Host) -> Inhabitants:
    """All others, and the container as it is to be."""
    found: dict[str, tuple[Container, Mapping[str, Iterable[str]]]] = {
        n.container.name: (n.container, in_order(n.container, n.record)) for n in host.neighbours
    }
    found[container.name] = (container, addresses_of(container, resolved))
    return Inhabitants(found, host.nodename)


def hosts_file(name: str, everyone: Inhabitants) -> str:
    """/etc/hosts of a container: its own names, and all others of the networks that it is on.

    One in the network of another container has that one's addresses, and knows who that one knows. One without any
    address to be known by, or in the host's network, still knows its own name.
    """
    container, _addresses = everyone.containers[name]
    own = Neighbour(name, {"": [LONELY]}, {"": _own_names(container, everyone)})
    owner = _owner("network", container, everyone)
    if owner is not None and any(everyone.containers[owner.name][1].values()):
        own = known_as(*everyone.containers[owner.name])
        if owner is not container:
            own = replace(own, name=name, names=dict.fromkeys(own.addresses, _own_names(container, everyone)))
    others = [known_as(*other) for other in everyone.containers.values()]
    return hosts(own, others, container.extra_hosts)


def _own_names(container: Container, everyone: Inhabitants) -> tuple[str, ...]:
    """What hostname(1) says in it, and its own name."""
    named_by = _owner("uts", container, everyone)
    called = hostname(named_by) if named_by is not None else everyone.nodename
    full = _host_names(named_by) if named_by is not None else ()
    names = (*full, called, hostname(container), container.name)
    return tuple(name for name in dict.fromkeys(names) if name)


def _host_names(container: Container) -> tuple[str, ...]:
    """Its host name, behind the full one where it has a domain: hosts(5) begins with the canonical name, which is what
    hostname(1) --fqdn says."""
    name = hostname(container)
    return (f"{name}.{container.domainname}", name) if container.domainname else (name,)


def _owner(kind: str, container: Container, everyone: Inhabitants) -> Container | None:
    """Whose namespace of that kind it is in; None for the host's, or that of one that is not declared."""
    seen = set()
    while (source := container.namespaces.get(kind, PRIVATE)) != PRIVATE:
        if name_of(source) not in everyone.containers or name_of(source) in seen:
            return None
        seen.add(name_of(source))
        container = everyone.containers[name_of(source)][0]
    return container


def resolver(container: Container, resolved: Resolved, host: Host) -> Resolver:
    """resolv.conf of a container, and which of the host's servers are no use to it."""
    versions = None
    if resolved.namespaces.get("network") != HOST:
        owner = name_of(resolved.namespaces.get("network", PRIVATE))
        theirs = [n.record.get("addresses", {}).values() for n in host.neighbours if n.container.name == owner]
        addresses = [a for found in (resolved.addresses, *theirs) for several in found for a in several]
        versions = frozenset(6 if ":" in a else 4 for a in addresses) or frozenset((4, 6))
    options = (container.dns, container.dns_search, container.dns_options)
    return resolv_conf(host.resolv_conf, *options, versions)


def resolver_warnings(container: Container, resolved: Resolved, host: Host) -> tuple[str, ...]:
    """What of the host's resolv.conf a container on a network has to do without."""
    found = resolver(container, resolved, host)
    if not found.left_out or not container.networks:
        return ()
    listed = ", ".join(found.left_out)
    if found.servers:
        return (f"dns: {listed} of the host's resolv.conf cannot be reached from container {container.name}: left out",)
    return (
        f"dns: not set, and container {container.name} has no nameserver: it cannot reach {listed} of the host's "
        "resolv.conf; set dns to servers that it can reach",
    )


def known_as(container: Container, addresses: Mapping[str, Iterable[str]]) -> Neighbour:
    """What the hosts files of a container's neighbours say of it: its names and bare addresses, by network."""
    names = {
        attachment.network: tuple(dict.fromkeys((*_host_names(container), container.name, *attachment.aliases)))
        for attachment in container.networks
    }
    bare = {network: [a.partition("/")[0] for a in found] for network, found in addresses.items()}
    return Neighbour(container.name, bare, names)


def in_order(container: Container, record: Mapping[str, Any]) -> dict[str, Any]:
    """The addresses that a container's record has, in the order of its networks as declared."""
    addresses = record.get("addresses") or {}
    return {attachment.network: addresses.get(attachment.network, ()) for attachment in container.networks}


def addresses_of(container: Container, resolved: Resolved) -> dict[str, list[str]]:
    """Addresses with prefix by network."""
    return {a.network: list(found) for a, found in zip(container.networks, resolved.addresses)}
