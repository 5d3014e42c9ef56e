# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from the live kernel what a network's plan needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .._core.observe_links import links, permanent
from .._core.observe_world import World
from .._kernel import iptables_legacy, locations, netlink_ip, netlink_links, netns, nft, sockets, sysctl
from .._kernel.namespaces import HOST, NetnsRef
from .._kernel.netlink_links import Link
from .._kernel.sysctl_carried import along, directory
from . import foreign_firewall, nft_table
from .forwarding import IP_FORWARD, IPV6_FORWARDING
from .host_sysctls import HostSysctls, decode
from .observe_declared import declared_elements
from .plan import ALIAS, Bridge, Desired, Observed, bridge_sysctls
from .publish import addresses_of, listeners_in_the_way
from .recorded import host_identity, read_networks, record_path
from .records import Network, Published
from .resource import SYSCTL_RECORD


@dataclass(frozen=True)
class Host:
    """What is read for any network, whichever it is about. ``foreign``: the tables of other firewalls."""

    networks: tuple[Network, ...]
    links: tuple[Link, ...]
    addresses: tuple[netlink_ip.Address, ...]
    routes: tuple[netlink_ip.Route, ...]
    table: nft.Table | None
    foreign: tuple[nft.Table, ...]
    ipv6: bool
    ra_sysctls: tuple[str, ...]
    sysctls: HostSysctls


def read_host(world: World) -> Host:
    """Raises KernelError."""
    found, routes = links(world), world.read(netlink_ip.routes, HOST)
    ipv6 = world.sysctls([IPV6_FORWARDING])[IPV6_FORWARDING] is not None
    ra_sysctls = _ra_sysctls(found, routes) if ipv6 else ()
    accepting = world.sysctls(ra_sysctls)
    return Host(
        networks=read_networks(world),
        links=found,
        addresses=world.read(netlink_ip.addresses, HOST),
        routes=routes,
        table=world.read(nft.read_table, nft_table.FAMILY, nft_table.NAME),
        foreign=world.read(_foreign),
        ipv6=ipv6,
        ra_sysctls=tuple(n for n in ra_sysctls if accepting[n] == "1"),
        sysctls=_host_sysctls(ra_sysctls, world),
    )


def _foreign() -> tuple[nft.Table, ...]:
    return (*foreign_firewall.foreign(nft.read_tables()), *iptables_legacy.read_tables())


def observe(desired: Desired, world: World) -> Observed:
    """Raises KernelError."""
    host = read_host(world)
    record = next((n for n in host.networks if n.name == desired.name), None)
    ours = [link for link in host.links if _is_ours(link, desired.name, record)]
    listeners = _listeners(desired, world)
    in_the_way = listeners_in_the_way(_published(desired), listeners)
    return Observed(
        record=record,
        others=tuple(n for n in host.networks if n.name != desired.name),
        directory=locations.NETWORKS,
        has_directory=world.files.is_directory(locations.NETWORKS),
        empty_directory=world.files.is_empty_directory(locations.NETWORKS),
        record_path=record_path(desired.name),
        host_identity=world.read(host_identity),
        bridges=tuple(_bridge(link, host, desired.network, world) for link in ours),
        link_kinds={link.name: link.kind for link in host.links},
        taken_subnets=_taken(host, {link.index for link in ours}),
        table=host.table,
        sysctls=host.sysctls,
        ra_sysctls=host.ra_sysctls,
        ipv6=host.ipv6,
        listeners=listeners,
        absent=frozenset(a for a in addresses_of(_published(desired)) if not sockets.is_local(a)),
        holders={listener.inode: sockets.holder_of(listener.inode) for listener in in_the_way},
        obstacles=_obstacles(desired.network, host.foreign),
        forwarders={
            IP_FORWARD: foreign_firewall.forwarders(4, host.foreign),
            IPV6_FORWARDING: foreign_firewall.forwarders(6, host.foreign),
        },
        members=_members(desired, record, ours),
        known=permanent(world, ours[0].name) if desired.network is not None and len(ours) == 1 else {},
        declared=declared_elements(host.networks, host.table, world, f"network/{desired.name}"),
    )


def _members(desired: Desired, record: Network | None, ours: list[Link]) -> tuple[tuple[NetnsRef, str], ...]:
    """Containers that have to be told of another MAC address of the bridge. Raises KernelError."""
    mac = (desired.network.mac if desired.network else "") or (record.mac if record else "")
    if desired.network is None or not mac or all(link.mac == mac for link in ours):
        return ()
    found = []
    for container in netns.names():
        ref = NetnsRef.named(container)
        alias = f"{ALIAS}veth/container/{container[len(locations.CONTAINER_NETNS) :]}/{desired.name}/0"
        if container.startswith(locations.CONTAINER_NETNS):
            found += [(ref, link.name) for link in netlink_links.links(ref) if link.alias == alias]
    return tuple(found)


def _is_ours(link: Link, name: str, record: Network | None) -> bool:
    """By its mark, or by the recorded MAC where a run was killed between making and marking it."""
    if link.alias or record is None:
        return link.kind == "bridge" and link.alias == f"{ALIAS}network/{name}"
    return (link.kind, link.name, link.mac) == ("bridge", record.bridge, record.mac)


def _bridge(link: Link, host: Host, network: Network | None, world: World) -> Bridge:
    named = bridge_sysctls(network, host.ipv6) if network is not None and network.bridge == link.name else {}
    return Bridge(
        name=link.name,
        mac=link.mac,
        mtu=link.mtu,
        up=link.up,
        alias=link.alias,
        addresses=tuple(a.address for a in host.addresses if a.index == link.index and _counts(a, link.name)),
        ports=tuple(_port(other) for other in host.links if other.master == link.index),
        sysctls=world.sysctls(named),
    )


def _counts(address: netlink_ip.Address, bridge: str) -> bool:
    """One that the kernel has not made, and that no other program has marked as its own by a protocol or a label."""
    marked = address.protocol not in (0, netlink_ip.PROTOCOL) or address.label not in ("", bridge)
    return not address.link_local and not marked


def _port(link: Link) -> str:
    """A port with the container it leads to, where its alias says so."""
    return f"{link.name} ({link.alias[len(ALIAS) :]})" if link.alias.startswith(ALIAS) else link.name


def _taken(host: Host, ours: set[int]) -> tuple[tuple[str, str], ...]:
    """Subnets that this host reaches elsewhere. Default routes (also split in halves), link-local and multicast
    destinations say nothing about who uses an address."""
    names = {link.index: link.name for link in host.links}
    found = {}
    for route in host.routes:
        length = int(route.to.partition("/")[2])
        goes = route.index and route.index not in names  # with its interface
        if route.index in ours or goes or length < 2 or route.to.startswith(("fe80:", "ff00:")):
            continue
        found[route.to] = f"a route on {names.get(route.index, 'another interface')}"
    for address in host.addresses:
        name = names.get(address.index, "lo")
        if address.index not in ours and not address.link_local and name != "lo":
            found.setdefault(address.address.partition("/")[0], f"an address of {name}")
    return tuple(found.items())


def _ra_sysctls(links: tuple[Link, ...], routes: tuple[netlink_ip.Route, ...]) -> tuple[str, ...]:
    """accept_ra of each interface that has a route from a router advertisement."""
    learned = {r.index for r in routes if r.version == 6 and r.protocol == netlink_ip.RTPROT_RA}
    # The form with slashes: a VLAN's name has a dot.
    return tuple(f"net/ipv6/conf/{link.name}/accept_ra" for link in links if link.index in learned)


def _host_sysctls(more: tuple[str, ...], world: World) -> HostSysctls:
    plain = world.files.record(SYSCTL_RECORD)
    boot_id = (world.files.text("/proc/sys/kernel/random/boot_id") or "").strip()
    state = decode(SYSCTL_RECORD, boot_id, plain, {})
    switches = world.sysctls((IP_FORWARD, IPV6_FORWARDING))
    # One that is on will not be switched on, and there may be hundreds of interfaces.
    off = [switch for switch, value in switches.items() if value not in (None, "1")]
    carried = {switch: along(switch, sysctl.entries(directory(switch) or "")) for switch in off}
    names = {*state.recorded_names, *more, *(name for names in carried.values() for name in names)}
    live = {**switches, **world.sysctls(names)}
    return replace(state, live=live, carried=carried)


def _published(desired: Desired) -> tuple[Published, ...]:
    return desired.network.published if desired.network is not None else ()


def _listeners(desired: Desired, world: World) -> tuple[sockets.Listener, ...]:
    return world.read(sockets.read_listeners) if _published(desired) else ()


def _obstacles(network: Network | None, foreign: tuple[nft.Table, ...]) -> tuple[str, ...]:
    if network is None:
        return ()
    return foreign_firewall.warnings_for(network.bridge, [s.version for s in network.subnets], foreign)
