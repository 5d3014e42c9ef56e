# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a network: its record, sysctls, nftables elements and bridge."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .._core.files import MakeDirectory, RemoveDirectory, RemoveFile, WriteFile
from .._core.mac import derived_mac
from .._core.neighbours import KnowNeighbours
from .._core.operation import RECREATE, Operation, Plan, changes_between
from .._core.quantities import IPV6_MIN_MTU
from .._kernel.nft import Element, Table
from .._kernel.sockets import Listener
from . import nft_table, plan_checks
from .forwarding import IP_FORWARD, IPV6_FORWARDING
from .host_sysctls import HostSysctls, WriteSysctl, hold, last_used
from .operations import AddBridgeAddress, CreateBridge, DeleteBridge, RemoveBridgeAddress, SetBridge
from .plan_elements import localnet_sysctl, needs_localnet, network_elements
from .publish import published_view, warnings_of_absent
from .records import Network, to_json

if TYPE_CHECKING:
    from .._kernel.namespaces import NetnsRef

ALIAS = "barekernel:"


@dataclass(frozen=True)
class Desired:
    """What the options say. ``network`` is None for state absent; its MAC is "" where none was declared."""

    name: str
    bridge: str
    network: Network | None
    force: bool = False


@dataclass(frozen=True)
class Bridge:
    """A bridge as it lives; ``addresses`` are its global ones with prefix, ``ports`` the interfaces in it."""

    name: str
    mac: str
    mtu: int
    up: bool
    alias: str
    addresses: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    sysctls: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """All a plan needs to know of the host.

    ``bridges``: those of ours that bear this network's mark or, unmarked, its recorded MAC. ``link_kinds``: every
    interface's kind by name. ``taken_subnets``: (subnet, "route via eth0") of whatever is not this network's.
    ``holders``: inode of a listener to its process. ``ra_sysctls``: accept_ra of interfaces whose routes come from
    router advertisements. ``obstacles``: warnings about foreign firewalls. ``forwarders``: by forwarding sysctl, the
    foreign tables that show that someone else forwards. ``empty_directory``: an interrupted removal left only that.
    ``declared``: what our table should hold of all others (networks, and containers where the table is damaged).
    ``members``: namespace and interface of each container on it, where the bridge is to get another MAC address;
    ``known``: the MAC addresses of its neighbours that were told to it, by IP. ``absent``: addresses to publish on that
    this host does not have.
    """

    record: Network | None
    others: tuple[Network, ...]
    directory: str
    has_directory: bool
    record_path: str
    host_identity: str
    bridges: tuple[Bridge, ...]
    link_kinds: Mapping[str, str]
    taken_subnets: tuple[tuple[str, str], ...]
    table: Table | None
    sysctls: HostSysctls
    ra_sysctls: tuple[str, ...] = ()
    ipv6: bool = True
    listeners: tuple[Listener, ...] = ()
    holders: Mapping[int, str] = field(default_factory=dict)
    obstacles: tuple[str, ...] = ()
    forwarders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    empty_directory: bool = False
    declared: tuple[Element, ...] = ()
    members: tuple[tuple[NetnsRef, str], ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


def plan(desired: Desired, observed: Observed) -> Plan:
    """Pure. Raises Refused, and OptionError for what only the host's state shows to be meaningless."""
    before = view(desired.name, observed)
    if desired.network is None:
        return _plan_absent(desired, observed, before)
    others = observed.record.others if observed.record is not None else {}
    network = replace(desired.network, mac=_mac(desired.network, observed), others=others)
    plan_checks.check_present(network, observed, desired.force)
    elements, sysctls = network_elements(network), wanted_sysctls(network, observed)
    table = nft_table.plan_elements(network.owner, elements, observed.table, observed.declared)
    localnet = needs_localnet(network, nft_table.elements_after(table, observed.table))
    operations = (
        *_record(network, observed),
        *hold(observed.sysctls, sysctls, network.owner, _needed_by_others(observed)),
        *table,
        *(of_bridge := _plan_bridge(network, observed, localnet)),
        *_tell_neighbours(network, observed, of_bridge),
    )
    after = _view_of(network, elements)
    changes = changes_between(before, after, {"bridge": RECREATE})
    options = [(f"published[{index}].ports", target.ports) for index, target in enumerate(network.published)]
    absent = warnings_of_absent(options, observed.absent, (network, *observed.others))
    return Plan(operations, before, after, changes, (*observed.obstacles, *absent))


def view(name: str, observed: Observed) -> dict[str, Any]:
    """The live state as plain data, {} where nothing of the network is there."""
    owner = f"network/{name}"
    elements = tuple(e for e in (observed.table.elements if observed.table else ()) if e.comment == owner)
    bridge = _live(observed)
    if bridge is None and not elements and observed.record is None:
        return {}
    return {
        "name": name,
        "bridge": bridge.name if bridge else None,
        "addresses": sorted(bridge.addresses) if bridge else [],
        "mac": bridge.mac if bridge else None,
        "mtu": bridge.mtu if bridge else None,
        "up": bridge.up if bridge else False,
        "nat": any(e.set_name in nft_table.NAT.values() for e in elements),
        "isolate": any(e.set_name == nft_table.ISOLATED for e in elements),
        "published": published_view(elements),
        "sysctls": {n: observed.sysctls.live.get(n) for n in (_forwarding(observed.record) if observed.record else ())},
    }


def wanted_sysctls(network: Network, observed: Observed) -> dict[str, str]:
    """The sysctls of the whole host that the network needs, in the order of setting them.

    With forwarding on, an interface takes its default route from router advertisements only with accept_ra 2, and
    turning forwarding on drops the routes of all others (ip-sysctl.rst): so accept_ra comes first.
    """
    wanted = {}
    forwarding = _forwarding(network)
    if IPV6_FORWARDING in forwarding:
        held = [
            n for n in observed.sysctls.held if n.endswith("/accept_ra") and observed.sysctls.live.get(n) is not None
        ]
        wanted = dict.fromkeys(sorted({*held, *observed.ra_sysctls}), "2")
    return {**wanted, **forwarding}


def _forwarding(network: Network) -> dict[str, str]:
    names = {4: IP_FORWARD, 6: IPV6_FORWARDING}
    return {names[v]: "1" for v in sorted({s.version for s in network.subnets})}


def bridge_sysctls(network: Network, ipv6: bool, localnet: bool = False) -> dict[str, str]:
    """Those of the bridge itself; they go with it. A member must not be able to give the host a default route.

    ``localnet``: see needs_localnet().
    """
    prefix4, prefix6 = f"net/ipv4/conf/{network.bridge}/", f"net/ipv6/conf/{network.bridge}/"
    versions = {s.version for s in network.subnets}
    wanted = {}
    if 4 in versions:
        wanted.update({prefix4 + "forwarding": "1", localnet_sysctl(network): "1" if localnet else "0"})
    wanted[prefix4 + "accept_redirects"] = "0"
    if ipv6 and network.mtu >= IPV6_MIN_MTU:
        # The bridge asks for neighbours by its link-local address, which would be of no use for its first seconds
        # while the kernel looks for duplicates.
        wanted.update(dict.fromkeys((prefix6 + n for n in ("accept_ra", "accept_redirects", "accept_dad")), "0"))
    if 6 in versions:
        wanted.update({prefix6 + "disable_ipv6": "0", prefix6 + "forwarding": "1"})
    return wanted


def _plan_bridge(network: Network, observed: Observed, localnet: bool) -> tuple[Operation, ...]:
    alias = ALIAS + network.owner
    live = next((b for b in observed.bridges if b.name == network.bridge), None)
    operations: list[Operation] = [DeleteBridge(b.name) for b in observed.bridges if b.name != network.bridge]
    sysctls = bridge_sysctls(network, observed.ipv6, localnet)
    if live is None:
        operations.append(CreateBridge(network.bridge, network.mac, network.mtu, alias))
        live = Bridge(network.bridge, network.mac, network.mtu, False, alias)
    elif (live.mac, live.mtu, live.alias) != (network.mac, network.mtu, alias):
        if live.up and observed.ipv6 and live.mtu < IPV6_MIN_MTU <= network.mtu:
            # IPv6 begins with the kernel's defaults: no member may advertise itself as router until ours are set.
            operations.append(SetBridge(network.bridge, up=False))
            live = replace(live, up=False)
        operations.append(
            SetBridge(
                network.bridge,
                network.mac if live.mac != network.mac else None,
                network.mtu if live.mtu != network.mtu else None,
                alias if live.alias != alias else None,
            )
        )
    for name, value in sysctls.items():
        if live.sysctls.get(name) != value:
            operations.append(WriteSysctl(name, value))
    operations += _plan_addresses(network, live)
    if not live.up:
        operations.append(SetBridge(network.bridge, up=True))
    return tuple(operations)


def _tell_neighbours(network: Network, observed: Observed, changes: tuple[Operation, ...]) -> list[Operation]:
    """Containers know the gateway for good, and hear of its new MAC address from nobody else. With another address,
    when it goes down, or without its last IPv4 address, a link forgets what it was told."""
    entries = tuple((ip, network.mac) for ip in network.gateways)
    told: list[Operation] = [KnowNeighbours(netns, link, entries) for netns, link in observed.members if entries]
    downs = (o for o in changes if isinstance(o, SetBridge))
    forgets = any(o.mac is not None or o.up is False for o in downs)
    if (forgets or any(isinstance(o, RemoveBridgeAddress) for o in changes)) and observed.known:
        from .._kernel.namespaces import HOST  # here: a network seldom needs it

        told.append(KnowNeighbours(HOST, network.bridge, tuple(sorted(observed.known.items()))))
    return told


def _plan_addresses(network: Network, live: Bridge) -> list[Operation]:
    # With too small an MTU the kernel has taken those of IPv6 along.
    left = [a for a in live.addresses if ":" not in a or network.mtu >= IPV6_MIN_MTU]
    removed = [a for a in left if a not in network.addresses]
    # Removing a primary IPv4 address takes the others of its subnet along: those are added (again) afterwards.
    shaken = [ipaddress.ip_interface(a).network for a in removed]
    added = [
        address
        for address in network.addresses
        if address not in left or ipaddress.ip_interface(address).network in shaken
    ]
    return [
        *(RemoveBridgeAddress(network.bridge, address) for address in removed),
        *(AddBridgeAddress(network.bridge, address) for address in added),
    ]


def _record(network: Network, observed: Observed) -> tuple[Operation, ...]:
    if observed.record == network:
        return ()
    text = json.dumps(to_json(network), indent=1, sort_keys=True) + "\n"
    directory = () if observed.has_directory else (MakeDirectory(observed.directory, 0o700),)
    return (*directory, WriteFile(observed.record_path, text, why="the network as declared"))


def _plan_absent(desired: Desired, observed: Observed, before: Mapping[str, Any]) -> Plan:
    plan_checks.check_absent(desired.name, observed, desired.force)
    owner = f"network/{desired.name}"
    operations: list[Operation] = [DeleteBridge(b.name) for b in observed.bridges]
    operations += nft_table.plan_elements(owner, (), observed.table, observed.declared)
    operations += hold(observed.sysctls, {}, owner, _needed_by_others(observed))
    if observed.record is not None:
        operations.append(RemoveFile(observed.record_path))
    if observed.empty_directory or (observed.has_directory and not observed.others and operations):
        operations.append(RemoveDirectory(observed.directory))
    warnings = tuple(
        f"sysctl {name} stays {observed.sysctls.live[name]}: the firewall table {', '.join(tables)} shows that "
        f"something else on this host forwards; if nothing does, set it to {observed.sysctls.held[name].original}"
        for name, tables in observed.forwarders.items()
        if tables and name in last_used(observed.sysctls, owner)
    )
    return Plan(tuple(operations), before, {}, warnings=warnings)


def _needed_by_others(observed: Observed) -> set[str]:
    """Forwarding that was off before us, but that others (Docker, libvirt) have come to rely on since."""
    return {name for name, tables in observed.forwarders.items() if tables}


def _mac(network: Network, observed: Observed) -> str:
    """Declared, else as it was, else derived: a host that is renamed keeps the addresses it gave.

    The host's identity is more than the machine ID, which clones of a virtual machine may share.
    """
    if network.mac:
        return network.mac
    return observed.record.mac if observed.record is not None else derived_mac(observed.host_identity, network.name)


def _live(observed: Observed) -> Bridge | None:
    recorded = observed.record.bridge if observed.record is not None else None
    return next((b for b in observed.bridges if b.name == recorded), observed.bridges[0] if observed.bridges else None)


def _view_of(network: Network, elements: tuple[Element, ...]) -> dict[str, Any]:
    return {
        "name": network.name,
        "bridge": network.bridge,
        "addresses": sorted(network.addresses),
        "mac": network.mac,
        "mtu": network.mtu,
        "up": True,
        "nat": network.nat,
        "isolate": network.isolate,
        "published": published_view(elements),
        "sysctls": _forwarding(network),
    }
