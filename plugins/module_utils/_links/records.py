# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A veth pair as declared and as found: the records that its planner works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._core.mac import derived_mac
from .._kernel.namespaces import HOST, NetnsRef
from .._kernel.netlink_ip import Route, RouteKey
from .._kernel.netlink_links import Link
from .._kernel.netlink_qdisc import Qdisc
from .addresses import Owners, merged_addresses, merged_routes, shown, surviving_routes
from .qdisc import described

DEFAULT_MTU = 1500


@dataclass(frozen=True)
class VethEnd:
    """One end as declared. None leaves a property as it is (on a new link: as the kernel makes it).

    ``mac`` None gives a new link an address derived from names. ``bridge`` "" means no bridge. ``routes`` have
    ``metric`` as the kernel keeps it (1024 for an IPv6 one that names none). ``impaired`` says whether the impairment
    is declared; ``qdisc`` None is then none. ``dad``: let duplicate address detection run, and wait for it.
    ``earlier`` are addresses that we are known to have set, where the kernel does not say whose an address is.
    ``pinned``: the bridge takes the MAC address of the other end as the only one behind this port, and learns no other.
    """

    interface: str
    netns: NetnsRef = HOST
    mac: str | None = None
    mtu: int | None = None
    up: bool = True
    bridge: str | None = None
    hairpin: bool | None = None
    isolated: bool | None = None
    addresses: tuple[str, ...] | None = None
    routes: tuple[Route, ...] | None = None
    sysctls: tuple[tuple[str, str], ...] = ()
    impaired: bool = False
    qdisc: Qdisc | None = None
    dad: bool = False
    pinned: bool = False
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True)
class VethDesired:
    """A pair as declared; ``seed`` goes into derived MAC addresses (something that tells hosts apart)."""

    name: str
    ends: tuple[VethEnd, VethEnd]
    exclusive: bool = True
    seed: str = ""


@dataclass(frozen=True)
class EndState:
    """One end as it is, or as it will be. Addresses are those that somebody set, without link-local ones; routes those
    through this interface that the kernel did not make itself. ``tentative`` addresses cannot be used yet. ``pinned``
    is the one MAC address that the bridge has behind this port, empty where it learns. ``owners`` says whose the
    addresses are. ``guarded``: what comes in by this port for 127.0.0.0/8 is dropped."""

    netns: NetnsRef
    interface: str
    mac: str
    mtu: int = DEFAULT_MTU
    up: bool = False
    bridge: str = ""
    hairpin: bool = False
    isolated: bool = False
    addresses: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    qdisc: Qdisc | None = None
    tentative: tuple[str, ...] = ()
    pinned: str = ""
    owners: Owners = Owners()
    guarded: bool = False


@dataclass(frozen=True)
class PlaceObserved:
    """Where an end shall be: whether that namespace exists and is the host's, what has the wanted name there and is
    not this end, what has the wanted bridge's name, and the live values of the sysctls asked for.

    ``samples`` are those of the sysctls' like (sysctls.sample_of) there, or on the host for a namespace that is yet to
    be made. ``taken`` maps IPs that are to come to the interface that has them and is no end of the pair; ``routed``
    does the same with routes. ``guarded``: the wanted bridge is a network's, and this kernel can guard its ports.
    ``refused`` is what the kernel says to sysctls that are to be set and it does not take.
    """

    exists: bool = True
    is_host: bool = False
    clash: Link | None = None
    bridge: Link | None = None
    guarded: bool = False
    sysctls: Mapping[str, str | None] = field(default_factory=dict)
    samples: Mapping[str, str | None] = field(default_factory=dict)
    taken: Mapping[str, str] = field(default_factory=dict)
    routed: Mapping[RouteKey, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VethObserved:
    """A pair as found by its marks. ``joined``: each end is the other's peer. ``births`` are ends that a killed run
    left without a mark. ``live_rename``: this kernel renames a link that is up. ``offered``: the disciplines it has."""

    ends: tuple[EndState | None, EndState | None] = (None, None)
    joined: bool = False
    places: tuple[PlaceObserved, PlaceObserved] = (PlaceObserved(), PlaceObserved())
    births: tuple[tuple[NetnsRef, str], ...] = ()
    live_rename: bool = True
    offered: tuple[str, ...] = ("netem", "tbf")

    @property
    def whole(self) -> bool:
        """Whether there is a pair that can be changed into the wanted one."""
        return self.joined and all(end is not None for end in self.ends)


def wanted_state(desired: VethDesired, number: int, there: EndState | None, place: PlaceObserved) -> EndState:
    """What an end will be: what is declared, else what is there, else what the kernel gives."""
    end = desired.ends[number]
    base = there or EndState(end.netns, end.interface, derived_mac(desired.seed, desired.name, str(number)))
    bridge = base.bridge if end.bridge is None else end.bridge
    moved = bridge != base.bridge
    addresses = merged_addresses(base.addresses, end.addresses, desired.exclusive, base.owners)
    left = surviving_routes(base.routes, base.addresses, addresses)
    # The kernel keeps no routes on a link that is down.
    routes = merged_routes(left, end.routes, desired.exclusive, keep_default=place.is_host) if end.up else ()
    return replace(
        base,
        netns=end.netns,
        interface=end.interface,
        mac=base.mac if end.mac is None else end.mac,
        mtu=base.mtu if end.mtu is None else end.mtu,
        up=end.up,
        bridge=bridge,
        hairpin=_flag(end.hairpin, base.hairpin and not moved),
        isolated=_flag(end.isolated, base.isolated and not moved),
        addresses=addresses,
        routes=routes,
        qdisc=end.qdisc if end.impaired else base.qdisc,
        tentative=(),
        guarded=base.guarded if end.bridge is None else place.guarded,
    )


def _flag(declared: bool | None, otherwise: bool) -> bool:
    return otherwise if declared is None else declared


def view(state: EndState, sysctls: Mapping[str, str | None]) -> dict[str, Any]:
    """An end as results and diffs show it."""
    return {
        "netns": str(state.netns),
        "interface": state.interface,
        "mac": state.mac,
        "mtu": state.mtu,
        "up": state.up,
        "bridge": state.bridge,
        "hairpin": state.hairpin,
        "isolated": state.isolated,
        "addresses": sorted(state.addresses),
        "routes": sorted(shown(route) for route in state.routes),
        "impairment": described(state.qdisc),
        "sysctls": dict(sysctls),
    }
