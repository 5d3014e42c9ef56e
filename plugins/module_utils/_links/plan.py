# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the veth pair that is there to the one that is wanted."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from .._core.operation import Operation
from .._core.quantities import IPV6_MIN_MTU
from .addresses import AddAddress, WaitForDad, plan_addresses, plan_routes, without_sources
from .operations import CreateVeth, DeleteLink, GuardPort, PinPort, SetLink, SetPort, UnguardPort
from .plan_checks import check
from .qdisc import plan_qdisc
from .records import EndState, VethDesired, VethEnd, VethObserved, wanted_state
from .sysctls import as_left_by, interface_of, plan_sysctls


def wanted_states(desired: VethDesired, observed: VethObserved) -> tuple[EndState, EndState]:
    """Both ends as they will be."""
    there = observed.ends if is_kept(observed) else (None, None)
    first, second = (wanted_state(desired, n, there[n], observed.places[n]) for n in (0, 1))
    pinned = [end.pinned for end in desired.ends]
    return (
        replace(first, pinned=second.mac) if pinned[0] else first,
        replace(second, pinned=first.mac) if pinned[1] else second,
    )


def plan_veth(
    desired: VethDesired,
    observed: VethObserved,
    bridges: frozenset[str] = frozenset(),
    options: tuple[str, str] = ("ends[0]", "ends[1]"),
) -> list[Operation]:
    """Have the pair. ``bridges`` are names of bridges that the same plan makes before. Raises OptionError, which names
    ``options``."""
    wanted = wanted_states(desired, observed)
    check(desired, observed, wanted, bridges, options)
    operations = plan_births(observed)
    current = observed.ends
    if not is_kept(observed):
        operations += plan_veth_absent(observed, "its pair is broken")
        first, second = ((w.netns, w.interface, w.mac, w.mtu) for w in wanted)
        operations.append(CreateVeth(desired.name, first, second))
        current = tuple(EndState(w.netns, w.interface, w.mac, w.mtu) for w in wanted)  # type: ignore[assignment]
    for number, end in enumerate(desired.ends):
        there = current[number]
        if there is not None:
            sysctls = {
                name: value
                for name, value in observed.places[number].sysctls.items()
                if there is observed.ends[number] or interface_of(name) is None  # a new link's are the kernel's
            }
            sysctls = as_left_by(operations, end.netns, sysctls)  # the other end may be in the same namespace
            operations += _plan_end(there, wanted[number], end, sysctls, observed.live_rename)
    return operations + _waits(desired, observed, wanted, operations)


def plan_veth_absent(observed: VethObserved, why: str = "") -> list[Operation]:
    """Not have it: one end takes the other along, and two that are no pair go one by one."""
    ends = [end for end in observed.ends if end is not None]
    return [DeleteLink(end.interface, end.netns, why) for end in (ends[:1] if observed.joined else ends)]


def plan_births(observed: VethObserved) -> list[Operation]:
    """Not have what a run that was killed has left of a pair."""
    return [DeleteLink(name, netns, "left by a run that was interrupted") for netns, name in observed.births]


def is_kept(observed: VethObserved) -> bool:
    """Whether the pair that is there is changed, and not made anew."""
    # An end that has the name which the other shall get: making them anew is the way that always works.
    return observed.whole and all(place.clash is None for place in observed.places)


def _plan_end(
    there: EndState, wanted: EndState, end: VethEnd, sysctls: dict[str, str | None], live_rename: bool
) -> list[Operation]:
    operations, there = _plan_place(there, wanted, live_rename)
    link, netns = wanted.interface, wanted.netns
    if there.up and not wanted.up:
        operations.append(SetLink(link, netns, up=False))
        there = lowered(there)
    if there.mac != wanted.mac:
        operations.append(SetLink(link, netns, mac=wanted.mac))
    if there.mtu != wanted.mtu:
        operations.append(SetLink(link, netns, mtu=wanted.mtu))
        there = there if wanted.mtu >= IPV6_MIN_MTU else _without_ipv6(there)
    operations += _plan_port(there, wanted)
    operations += plan_sysctls(netns, end.sysctls, sysctls)
    if wanted.up and not there.up:
        operations.append(SetLink(link, netns, up=True))
    operations += plan_qdisc(link, netns, there.qdisc, wanted.qdisc)
    changed, bare = plan_addresses(link, netns, there.addresses, wanted.addresses, end.dad)
    gone = set(there.addresses) - set(wanted.addresses)
    left = without_sources(there.routes, gone)
    return operations + changed + plan_routes(link, netns, left, wanted.routes, bare)


def _plan_place(there: EndState, wanted: EndState, live_rename: bool) -> tuple[list[Operation], EndState]:
    """The right namespace and name, and what the way there leaves of the end."""
    renamed = wanted.interface if there.interface != wanted.interface else None
    if there.netns != wanted.netns:
        move = SetLink(there.interface, there.netns, move_to=wanted.netns, new_name=renamed)
        return [move], EndState(wanted.netns, wanted.interface, there.mac, there.mtu)
    if renamed is None:
        return [], there
    operations: list[Operation] = []
    if there.up and not live_rename:
        why = "this kernel renames only what is down"
        operations.append(SetLink(there.interface, there.netns, up=False, why=why))
        there = lowered(there)
    operations.append(SetLink(there.interface, there.netns, new_name=renamed))
    return operations, replace(there, interface=renamed)


def _plan_port(there: EndState, wanted: EndState) -> list[Operation]:
    link, netns = wanted.interface, wanted.netns
    operations: list[Operation] = []
    flags, pinned = (there.hairpin, there.isolated), there.pinned
    # Before it is a port, and before it is none: a run that is killed in between is seen.
    if wanted.guarded != there.guarded:
        operations.append(GuardPort(link, netns) if wanted.guarded else UnguardPort(link, netns))
    if there.bridge != wanted.bridge:
        operations.append(SetLink(link, netns, bridge=wanted.bridge))
        flags, pinned = (False, False), ""
    if wanted.bridge and flags != (wanted.hairpin, wanted.isolated):
        hairpin = wanted.hairpin if flags[0] != wanted.hairpin else None
        isolated = wanted.isolated if flags[1] != wanted.isolated else None
        operations.append(SetPort(link, netns, hairpin=hairpin, isolated=isolated))
    if wanted.bridge and wanted.pinned and pinned != wanted.pinned:
        operations.append(PinPort(link, netns, wanted.pinned))
    return operations


def lowered(there: EndState) -> EndState:
    """What setting a link down leaves: no routes, no IPv6 addresses."""
    return replace(_without_ipv6(there), up=False, routes=())


def _without_ipv6(there: EndState) -> EndState:
    return replace(
        there,
        addresses=tuple(a for a in there.addresses if ":" not in a),
        routes=tuple(r for r in there.routes if r.version == 4),
    )


def _waits(
    desired: VethDesired, observed: VethObserved, wanted: tuple[EndState, EndState], planned: list[Operation]
) -> list[Operation]:
    """An address that detection still holds back, or will, is waited for; it never ends while an end is down."""
    if not all(end.up for end in desired.ends):
        return []
    fresh = {(o.link, o.netns, o.address) for o in planned if isinstance(o, AddAddress) and o.dad}
    waits: list[Operation] = []
    for number, state in enumerate(wanted):
        there = observed.ends[number]
        held_back = there.tentative if there is not None else ()
        for address in desired.ends[number].addresses or ():
            new = (state.interface, state.netns, address) in fresh and ipaddress.ip_interface(address).version == 6
            if new or address in held_back:
                waits.append(WaitForDad(state.interface, state.netns, address))
    return waits
