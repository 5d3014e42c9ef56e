# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel shows of a named network namespace and of a veth pair. Reusable: nothing here knows Ansible."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping

from .._core.ip_text import ip_interface
from .._core.observe_links import link, links, netns_identity
from .._core.observe_world import World
from .._kernel import (
    locations,
    namespaces,
    netlink_fdb,
    netlink_filter,
    netlink_ip,
    netlink_links,
    netlink_qdisc,
    netns,
    process,
)
from .._kernel.errors import KernelError
from .._kernel.namespaces import HOST, NamespaceId, NetnsRef
from .._kernel.netlink_ip import RouteKey
from .._kernel.netlink_links import Link
from .addresses import Owners
from .netns import NetnsDesired, NetnsObserved
from .operations import birth_name, veth_alias
from .qdisc import KINDS, same_qdisc
from .records import EndState, PlaceObserved, VethDesired, VethEnd, VethObserved
from .sysctl_values import same_value
from .sysctls import sample_of

#: Devices that the kernel puts into every namespace when a tunnel module is loaded; they cannot be removed.
_TUNNEL_DEVICES = frozenset(
    ("tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0")
)
#: Who set a route: those of the kernel, of redirects and of router advertisements are not ours to compare.
_KERNELS_OWN = (netlink_ip.RTPROT_REDIRECT, netlink_ip.RTPROT_KERNEL, netlink_ip.RTPROT_RA)
_TABLE_LOCAL = 255
_LIVE_RENAME = (6, 2)


def links_of(world: World, known: NamespaceId, ref: NetnsRef) -> tuple[Link, ...]:
    """Every interface of that namespace; none where it has gone since it was found. Raises KernelError."""
    try:
        return links(world, ref)
    except KernelError:
        if namespaces.netns_identity(ref) == known:
            raise
        world.expect((), netlink_links.links, ref)  # the process that it was known by has ended, or its name is removed
        return ()


def observe_netns(desired: NetnsDesired, world: World, contents: bool = False) -> NetnsObserved:
    """A named namespace; with ``contents`` also what else is in it, which removal asks. Raises KernelError."""
    named = world.read(netns.observe, desired.name)
    if named is None or named.identity is None:
        samples = _samples(desired.sysctls, HOST, world)
        return NetnsObserved(named, samples=samples, refused=_refused(desired.sysctls, {}))
    loopback = link(world, "lo", desired.ref)
    values = world.sysctls((name for name, _value in desired.sysctls), desired.ref)
    up = loopback is not None and loopback.up
    if not contents:
        samples = _samples(desired.sysctls, desired.ref, world)
        return NetnsObserved(named, up, values, samples=samples, refused=_refused(desired.sysctls, values))
    others = tuple(li.name for li in links(world, desired.ref) if li.name not in {"lo", *_TUNNEL_DEVICES})
    return NetnsObserved(named, up, values, others, tuple(netns.processes_in(named.identity)))


def observe_veth(desired: VethDesired, world: World, wide: bool = True) -> VethObserved:
    """A pair, found by its marks where its ends shall be, on the host and, ``wide``, in any other namespace.

    Raises KernelError.
    """
    home = netns_identity(world, HOST)
    ids = tuple(netns_identity(world, end.netns) for end in desired.ends)
    known = {i: end.netns for i, end in zip(ids, desired.ends) if i is not None}
    if home is not None:
        known.setdefault(home, HOST)
    found = find_ends(desired.name, known, world, wide, tuple(end.interface for end in desired.ends))
    ends = tuple(end_state(ref, own, world, desired.ends[n]) if own else None for n, (ref, own) in enumerate(found))
    whole = joined(found[0][1], found[1][1])
    places = tuple(_place(end, ids[n], home, found[n][1], found, world) for n, end in enumerate(desired.ends))
    return VethObserved(
        ends=(ends[0], ends[1]),
        joined=whole,
        places=(places[0], places[1]),
        births=() if whole else births(desired.name, known.values(), world),
        live_rename=_release() >= _LIVE_RENAME,
        offered=_offered(desired, ends),
    )


def find_ends(
    name: str,
    known: dict[NamespaceId, NetnsRef],
    world: World,
    wide: bool,
    likely: tuple[str, ...] = (),
) -> list[tuple[NetnsRef, Link | None]]:
    """Where the two ends of a pair are: by ``likely`` names first, then by mark, then everywhere."""
    found: list[tuple[NetnsRef, Link | None]] = []
    for number in (0, 1):
        alias = veth_alias(name, number)
        quick = _by_name(alias, likely[number], known, world) if likely else None
        found.append(quick or _by_mark(alias, known, world) or (HOST, None))
    if wide and any(end is None for _ref, end in found):
        others = {i: ref for i, ref in everywhere(world) if i not in known}
        for number, (_ref, end) in enumerate(found):
            if end is None:
                found[number] = _by_mark(veth_alias(name, number), others, world) or (HOST, None)
    return found


def _by_name(alias: str, name: str, known: dict[NamespaceId, NetnsRef], world: World) -> tuple[NetnsRef, Link] | None:
    for ref in known.values():
        found = link(world, name, ref)
        if found is not None and found.alias == alias:
            return ref, found
    return None


def _by_mark(alias: str, known: dict[NamespaceId, NetnsRef], world: World) -> tuple[NetnsRef, Link] | None:
    for identity, ref in known.items():
        found = next((li for li in links_of(world, identity, ref) if li.alias == alias), None)
        if found is not None:
            return ref, found
    return None


def everywhere(world: World) -> Iterator[tuple[NamespaceId, NetnsRef]]:
    """Every network namespace that has a name, or a process that we may look at: without CAP_SYS_PTRACE, or with a
    security module, even root may not look at all of them, and can have put nothing into theirs."""
    seen = set()
    for name in netns.names():
        identity = netns_identity(world, NetnsRef.named(name))
        if identity is not None and identity not in seen:
            seen.add(identity)
            yield identity, NetnsRef.named(name)
    for pid in process.pids():
        ref = NetnsRef.of_process(pid, process.start_time(pid))
        try:
            identity = namespaces.netns_identity(ref)
        except KernelError as error:
            if error.errno not in (errno.EACCES, errno.EPERM):
                raise
            continue
        if identity is not None and identity not in seen:
            seen.add(identity)
            yield identity, ref


def joined(one: Link | None, other: Link | None) -> bool:
    """Whether two ends are each other's peer."""
    if one is None or other is None:
        return False
    return (one.kind, one.peer_index, other.peer_index) == ("veth", other.index, one.index)


def births(name: str, places: Iterable[NetnsRef], world: World) -> tuple[tuple[NetnsRef, str], ...]:
    """An end that never got its alias. Its other end may have got one: then that is found by it, and both go."""
    found = []
    for ref in places:
        for number in (0, 1):
            born = link(world, birth_name(name, number), ref)
            if born is not None and born.kind == "veth" and not born.alias:
                found.append((ref, born.name))
    return tuple(found)


def _place(
    end: VethEnd,
    identity: NamespaceId | None,
    home: NamespaceId | None,
    own: Link | None,
    found: list[tuple[NetnsRef, Link | None]],
    world: World,
) -> PlaceObserved:
    if identity is None:
        return PlaceObserved(
            exists=False, samples=_samples(end.sysctls, HOST, world), refused=_refused(end.sysctls, {})
        )
    there = link(world, end.interface, end.netns)
    mine = own is not None and there is not None and (own.alias, own.index) == (there.alias, there.index)
    values = world.sysctls((name for name, _value in end.sysctls), end.netns)
    bridge = link(world, end.bridge, end.netns) if end.bridge else None
    mine_here = own if own is not None and own.index in _own(identity, found, world) else None
    return PlaceObserved(
        exists=True,
        is_host=identity == home,
        clash=None if mine else there,
        bridge=bridge,
        guarded=_guardable(end.netns, bridge, mine_here),
        sysctls=values,
        refused=_refused(end.sysctls, values),
        samples=_samples(end.sysctls, end.netns, world),
        taken=_taken(end, identity, found, world),
        routed=_routed(end, identity, found, world),
    )


def _samples(wanted: tuple[tuple[str, str], ...], ref: NetnsRef, world: World) -> dict[str, str | None]:
    """See sysctls.check_sysctls()."""
    names = tuple(sample for sample in (sample_of(name) for name, _value in wanted) if sample is not None)
    return world.sysctls(names, ref)


def _refused(wanted: tuple[tuple[str, str], ...], values: Mapping[str, str | None]) -> dict[str, str]:
    """What the kernel says, in a namespace made for the question, to those that are to be set and it does not take."""
    news = {name: value for name, value in wanted if not same_value(name, value, values.get(name))}
    if not news:
        return {}
    from .._kernel import sysctl_trial  # here: most tasks set none

    found = {}
    asked = [(name, sample_of(name) or name, value) for name, value in news.items()]
    for name, answer in sysctl_trial.tried(asked, None).items():
        if answer.error:
            found[name] = f"the kernel does not take it ({answer.error})"
        elif answer.shown and not same_value(name, news[name], answer.shown):
            found[name] = f"the kernel makes {answer.shown!r} of it: write that"
    return found


def _taken(
    end: VethEnd, identity: NamespaceId, found: list[tuple[NetnsRef, Link | None]], world: World
) -> dict[str, str]:
    """Who has an IP that the end is to get, where an interface other than the pair's has it."""
    wanted = {str(ip_interface(a).ip) for a in end.addresses or ()}
    own = _own(identity, found, world)
    holders = {}
    for each in world.read(netlink_ip.addresses, end.netns) if wanted else ():
        ip = str(ip_interface(each.address).ip)
        if ip in wanted and each.index not in own:
            holder = by_index(world, each.index, end.netns)
            if holder is not None:  # else its interface goes
                holders[ip] = holder.name
    return holders


def _routed(
    end: VethEnd, identity: NamespaceId, found: list[tuple[NetnsRef, Link | None]], world: World
) -> dict[RouteKey, str]:
    """Who has a route that the end is to get, where an interface other than the pair's has it."""
    own = _own(identity, found, world)
    holders: dict[RouteKey, str] = {}
    for route in end.routes or ():
        there = world.read(netlink_ip.route_holders, end.netns, route.version)
        for index in set(there.get(route.key, ())) - own:
            holder = by_index(world, index, end.netns) if index else None
            if holder is not None or not index:  # else its interface goes
                holders[route.key] = holder.name if holder is not None else "no interface"
    return holders


def _own(identity: NamespaceId, found: list[tuple[NetnsRef, Link | None]], world: World) -> set[int]:
    """The numbers of the pair's interfaces in that namespace."""
    return {own.index for ref, own in found if own is not None and netns_identity(world, ref) == identity}


def by_index(world: World, index: int, ref: NetnsRef) -> Link | None:
    """The interface of that number. Raises KernelError."""
    if world.knows(netlink_links.links, ref):
        return next((found for found in links(world, ref) if found.index == index), None)
    return world.read(netlink_links.link_by_index, index, ref)


def end_state(ref: NetnsRef, link: Link, world: World, end: VethEnd | None = None) -> EndState:
    """An end as it is. Raises KernelError."""
    addresses = [a for a in world.read(netlink_ip.addresses, ref) if a.index == link.index]
    declared = (end.addresses or ()) if end is not None else ()
    # The kernel makes a link-local address by itself: only one that is declared counts.
    kept = [a for a in addresses if a.flags & netlink_ip.IFA_F_PERMANENT]
    kept = [a for a in kept if not a.link_local or a.address in declared]
    routes = [r for r in world.read(netlink_ip.routes, ref) if r.index == link.index and r.protocol not in _KERNELS_OWN]
    bridge = by_index(world, link.master, ref) if link.master else None
    return EndState(
        netns=ref,
        interface=link.name,
        mac=link.mac,
        mtu=link.mtu,
        up=link.up,
        bridge=bridge.name if bridge is not None else "",
        hairpin=link.port.hairpin if link.port else False,
        isolated=link.port.isolated if link.port else False,
        addresses=tuple(a.address for a in kept),
        routes=tuple(r for r in routes if r.table != _TABLE_LOCAL),
        qdisc=world.read(netlink_qdisc.root_qdiscs, ref).get(link.index),
        tentative=tuple(a.address for a in kept if a.tentative),
        owners=_owners(link.name, kept, end.earlier if end is not None else ()),
        pinned=_pinned(ref, link) if end is not None and end.pinned else "",
        guarded=bool(link.master) and netlink_filter.guarded(link.index, ref),
    )


def _owners(interface: str, addresses: list[netlink_ip.Address], earlier: tuple[str, ...]) -> Owners:
    """A program may mark what it sets by a protocol, a label (keepalived) or a flag (NetworkManager)."""
    own = {a.address for a in addresses if a.protocol == netlink_ip.PROTOCOL}
    ours = own | {a.address for a in addresses if not a.protocol and a.address in earlier}
    flags = netlink_ip.IFA_F_NOPREFIXROUTE | netlink_ip.IFA_F_MANAGETEMPADDR
    theirs = {a.address for a in addresses if a.protocol or a.label not in ("", interface) or a.flags & flags}
    return Owners(frozenset(ours), frozenset(theirs - ours))


def _pinned(ref: NetnsRef, port: Link) -> str:
    """The one address behind a port that learns none."""
    if port.port is None or port.port.learning:
        return ""
    behind = netlink_fdb.behind(port.index, ref)
    return behind[0] if len(behind) == 1 else ""


def _guardable(ref: NetnsRef, bridge: Link | None, own: Link | None) -> bool:
    """Whether a port of that bridge is to be guarded: a network's, unless this kernel cannot, which is tried where the
    filter is missing."""
    if bridge is None or not bridge.alias.startswith(f"{locations.MARK}:network/"):
        return False
    return own is None or not own.master or netlink_filter.guarded(own.index, ref) or netlink_filter.offered()


def _offered(desired: VethDesired, ends: tuple[EndState | None, ...]) -> tuple[str, ...]:
    """What of the disciplines asked for this kernel has; tried only where one is to be set."""
    wanted = {}
    for end, there in zip(desired.ends, ends):
        if end.qdisc is not None and not (there is not None and same_qdisc(there.qdisc, end.qdisc)):
            wanted[end.qdisc.kind] = end.qdisc
    missing = {kind for kind, qdisc in wanted.items() if not netlink_qdisc.offered(qdisc)}
    return tuple(kind for kind in KINDS if kind not in missing)


def _release() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
