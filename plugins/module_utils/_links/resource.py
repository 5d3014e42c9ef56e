# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""netns_veth: named network namespaces and a veth pair with all that belongs to its ends."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from .._boot.kept import KeptResource, record_name
from .._boot.plan import LINKS
from .._boot.resource import Boot
from .._core.errors import OptionError
from .._core.names import check_name
from .._core.observe_links import netns_identity
from .._core.observe_world import World
from .._core.operation import RECREATE, Operation, Plan, changes_between
from .._core.units import RemoveIfEmpty, left_empty
from .._core.user_ids import taken_by_users
from .._kernel import locations, netns, subids
from .._kernel.errors import absent
from .._kernel.namespaces import HOST
from .._kernel.subids import Granted
from .netns import UNUSED, NetnsDesired, NetnsObserved, plan_netns, plan_netns_absent
from .observe import births, end_state, everywhere, find_ends, joined, links_of, observe_netns, observe_veth
from .observe_sysctls import overwritten, values_of_new
from .operations import LOCK, veth_alias
from .options import container_of, parse_end, parse_netns
from .plan import is_kept, plan_births, plan_veth, plan_veth_absent, wanted_states
from .plan_set import (
    Key,
    SetBefore,
    declared_sysctls,
    decode,
    dropped,
    plan_set,
    plan_set_absent,
    record_path,
    without_dropped,
)
from .records import EndState, VethDesired, VethEnd, VethObserved, view
from .sysctls import as_left_by, check_places, interface_of, turns_ipv6_off, values_after


@dataclass(frozen=True)
class Desired:
    """A task: the namespaces to have (those of ends by name included), the pair, and how to remove."""

    name: str
    present: bool
    namespaces: tuple[NetnsDesired, ...]
    veth: VethDesired | None
    remove: str = UNUSED
    boot: Boot | None = None


@dataclass(frozen=True)
class Observed:
    """Its namespaces, in the order of the desired ones and then those its ends were found in, and the pair."""

    namespaces: tuple[tuple[NetnsDesired, NetnsObserved], ...]
    veth: VethObserved
    granted_ids: tuple[Granted, ...] = ()
    before: SetBefore = SetBefore("")
    #: Goes into derived MAC addresses, so that they differ from host to host.
    nodename: str = ""
    #: Directories for namespaces that a run that was killed has left empty.
    left: tuple[str, ...] = ()


class NetnsVeth(KeptResource[Desired, Observed]):
    """See plugins/modules/netns_veth.py."""

    name = "netns_veth"
    needs_pyroute2 = True
    service = LINKS
    lock_names = (LOCK,)

    def desired(self, params: Mapping[str, Any]) -> Desired:
        name = check_name("name", params["name"])
        absent = params["state"] == "absent"
        given = params.get("ends") or []
        if len(given) not in (0, 2):
            raise OptionError("ends", len(given), "a veth pair has two ends; name both, or none for namespaces alone")
        ends = tuple(parse_end(f"ends[{n}]", end, absent) for n, end in enumerate(given))
        declared = [parse_netns(f"namespaces[{n}]", ns, absent) for n, ns in enumerate(params.get("namespaces") or [])]
        names = [ns.name for ns in declared]
        for n, netns_name in enumerate(names):
            if netns_name in names[:n]:
                raise OptionError(f"namespaces[{n}].name", netns_name, "is there twice")
        check_places(
            [
                *((f"namespaces[{n}].sysctls", ns.ref, ns.sysctls) for n, ns in enumerate(declared)),
                *((f"ends[{n}].sysctls", end.netns, end.sysctls) for n, end in enumerate(ends)),
            ]
        )
        _check_ipv6(declared, ends)
        for end, options in zip(ends, given):
            if options.get("netns") and end.netns.value not in names:
                declared.append(NetnsDesired(end.netns.value, any_owner=True, adopt=True))
                names.append(end.netns.value)
        if not declared and not ends and not absent:
            raise OptionError("ends", given, "give two ends, or namespaces")
        veth = None
        if len(ends) == 2:
            if (ends[0].netns, ends[0].interface) == (ends[1].netns, ends[1].interface):
                raise OptionError(
                    "ends[1].interface", ends[1].interface, "is the name of the other end in the same place"
                )
            veth = VethDesired(name, (ends[0], ends[1]), params.get("exclusive") is not False)
        remove = params.get("remove_namespaces") or UNUSED
        return Desired(name, not absent, tuple(declared), veth, remove, _boot(name, params))

    def boot(self, desired: Desired) -> Boot | None:
        return desired.boot

    def observe(self, desired: Desired, world: World) -> Observed:
        if desired.veth is not None and desired.present:
            veth = observe_veth(desired.veth, world)
        else:
            veth = observe_by_mark(desired.name, world) if not desired.present else VethObserved()
        wanted = {ns.name: ns for ns in desired.namespaces}
        if not desired.present:
            for end in veth.ends:
                if end is not None and end.netns.kind == "name":
                    wanted.setdefault(end.netns.value, NetnsDesired(end.netns.value, adopt=True, any_owner=True))
        before = _set_before(desired, world)
        if desired.present:
            granted = world.read(subids.granted) if any(ns.idmap for ns in wanted.values()) else ()
            spaces = tuple((ns, observe_netns(ns, world)) for ns in wanted.values())
            return Observed(spaces, veth, granted, before, os.uname().nodename)
        spaces = tuple((ns, _observe_to_remove(ns, world)) for ns in wanted.values())
        return Observed(spaces, veth, before=before, left=tuple(left_empty(locations.NETNS_DIRECTORIES, world)))

    def plan(self, desired: Desired, observed: Observed) -> Plan:
        if desired.veth is not None:
            desired = replace(desired, veth=replace(desired.veth, seed=observed.nodename))
        return _plan_present(desired, observed) if desired.present else _plan_absent(desired, observed)

    def facts(self, desired: Desired, observed: Observed) -> dict[str, Any]:
        ends = [view(end, _sysctls(observed.veth, n)) for n, end in enumerate(observed.veth.ends) if end is not None]
        return {
            "veth": {"name": desired.name, "ends": ends} if ends else {},
            "namespaces": [netns_view(o) for _ns, o in observed.namespaces if o.exists],
        }


def _check_ipv6(namespaces: Sequence[NetnsDesired], ends: Sequence[VethEnd]) -> None:
    """Raises OptionError for an IPv6 address where parameters that are declared keep IPv6 off."""
    for number, end in enumerate(ends):
        here = [ns.sysctls for ns in namespaces if ns.ref == end.netns] + [
            e.sysctls for e in ends if e.netns == end.netns
        ]
        off = turns_ipv6_off({name: value for sysctls in here for name, value in sysctls}, end.interface)
        for address in end.addresses or ():
            if off and ":" in address:
                words = f"{off} keeps IPv6 off there: leave one of the two out"
                raise OptionError(f"ends[{number}].addresses", address, words)


def _boot(name: str, params: Mapping[str, Any]) -> Boot:
    """Whether it is to come back, and with which options. Raises OptionError for what no boot can bring back."""
    keep = params["state"] == "present" and bool(params.get("systemd"))
    for n, end in enumerate((params.get("ends") or []) if keep else []):
        for option in ("pid", "path"):
            if end.get(option) is not None:
                words = "does not outlive a boot: with systemd: true give the end by netns or container"
                raise OptionError(f"ends[{n}].{option}", end[option], words)
    return Boot(record_name("name", name), keep, params if keep else None)


def _set_before(desired: Desired, world: World) -> SetBefore:
    """What the task has set before, with the live values of what it declares no longer."""
    path = record_path(quote(desired.name, safe=""))
    before = decode(path, world.files.record(path))
    wanted = declared_sysctls(desired.namespaces, desired.veth) if desired.present else {}
    live: dict[Key, str | None] = {}
    fresh: dict[Key, str | None] = {}
    gone = dropped(before, wanted)
    for ref in dict.fromkeys(ref for ref, _name in gone if netns_identity(world, ref) is not None):
        names = tuple(name for place, name in gone if place == ref)
        live.update({(ref, name): value for name, value in world.sysctls(names, ref).items()})
        fresh.update({(ref, name): value for name, value in values_of_new(ref, names).items()})
    along = overwritten([key for key in wanted if key not in before.sysctls], world)
    has_directory = world.files.is_directory(os.path.dirname(path))
    return replace(before, has_directory=has_directory, live=live, fresh=fresh, along=along)


def _plan_set(desired: Desired, observed: Observed) -> list[Operation]:
    live: dict[Key, str | None] = {}
    for ns, there in observed.namespaces:
        live.update({(ns.ref, name): there.sysctls.get(name) for name, _value in ns.sysctls})
    ends = desired.veth.ends if desired.veth is not None else ()
    for n, end in enumerate(ends):
        seen = observed.veth.places[n].sysctls
        # Of a link that is yet to be made nothing is known.
        made = observed.veth.ends[n] is None
        live.update({(end.netns, k): None if made and interface_of(k) else seen.get(k) for k, _value in end.sysctls})
    impaired = frozenset(n for n, end in enumerate(ends) if end.impaired and end.qdisc is not None)
    return plan_set(declared_sysctls(desired.namespaces, desired.veth), live, impaired, observed.before)


def _plan_present(desired: Desired, observed: Observed) -> Plan:
    operations = _plan_set(desired, observed)
    if desired.veth is not None:
        desired = replace(desired, veth=without_dropped(desired.veth, observed.before))
    for n, (ns, there) in enumerate(observed.namespaces):
        operations += plan_netns(ns, there, f"namespaces[{n}]")
    before, after = _namespaces_before(observed), _namespaces_after(observed)
    for (ref, name), value in observed.before.back.items():
        before.setdefault(f"declared no longer in {ref}", {})[name] = observed.before.live[ref, name]
        after.setdefault(f"declared no longer in {ref}", {})[name] = value
    if desired.veth is not None:
        will_be = {ns.name for ns in desired.namespaces}
        for n, (end, place) in enumerate(zip(desired.veth.ends, observed.veth.places)):
            if not place.exists and end.netns.kind == "name" and end.netns.value not in will_be:
                words = f"there is no {end.netns}: make the container first, with a network namespace of its own"
                raise absent(OptionError(f"ends[{n}].container", container_of(end.netns), words))
        operations += plan_veth(desired.veth, _with_sysctls(desired.veth, observed.veth, operations))
        wanted = wanted_states(desired.veth, observed.veth)
        for n, state in enumerate(wanted):
            there_now = observed.veth.ends[n]
            sysctls = values_after(desired.veth.ends[n].sysctls, _sysctls(observed.veth, n))
            if there_now is not None:
                before[f"ends[{n}]"] = view(there_now, _sysctls(observed.veth, n))
            after[f"ends[{n}]"] = view(state, sysctls)
    # What is there already: one of the namespaces may be, and the pair not.
    kept = {thing: after[thing] for thing in before if thing in after}
    anew = {name: RECREATE for name in _flat(kept) if name.startswith("ends[") and not is_kept(observed.veth)}
    warnings = [
        warning
        for n, (ns, _there) in enumerate(observed.namespaces)
        for warning in taken_by_users(f"namespaces[{n}].owner", ns.idmap, observed.granted_ids)
    ]
    return Plan(tuple(operations), before, after, changes_between(_flat(before), _flat(kept), anew), tuple(warnings))


def _plan_absent(desired: Desired, observed: Observed) -> Plan:
    operations = [*plan_births(observed.veth), *plan_veth_absent(observed.veth)]
    removed = []
    before = _namespaces_before(observed)
    before.update({f"ends[{n}]": view(end, {}) for n, end in enumerate(observed.veth.ends) if end is not None})
    after = dict(before)
    for n, end in enumerate(observed.veth.ends):
        if end is not None:
            after.pop(f"ends[{n}]")
    for ns, there in observed.namespaces:
        places = [(end.netns, end.interface) for end in observed.veth.ends if end is not None]
        leaving = frozenset(link for place, link in (*places, *observed.veth.births) if place == ns.ref)
        removal = plan_netns_absent(ns.name, there, desired.remove, leaving)
        operations += removal
        if removal:
            removed.append(ns.ref)
            after.pop(f"netns {ns.name}", None)
    operations += map(RemoveIfEmpty, observed.left)
    links = [end.interface for end in observed.veth.ends if end is not None]
    return Plan((*plan_set_absent(observed.before, removed, links), *operations), before, after)


def _observe_to_remove(ns: NetnsDesired, world: World) -> NetnsObserved:
    container = container_of(ns.ref)
    declared = container and world.files.is_directory(f"{locations.CONTAINERS}/{container}")
    return replace(observe_netns(ns, world, contents=True), container=container if declared else "")


def observe_by_mark(name: str, world: World) -> VethObserved:
    """The pair of that name wherever its ends are; for what asks nothing about how they should be."""
    home = netns_identity(world, HOST)
    known = {home: HOST} if home is not None else {}
    found = find_ends(name, known, world, wide=True)
    ends = [end_state(ref, link, world) if link is not None else None for ref, link in found]
    whole = joined(found[0][1], found[1][1])
    born = () if whole else births(name, {**dict(everywhere(world)), **known}.values(), world)
    return VethObserved(ends=(ends[0], ends[1]), joined=whole, births=born)


def netns_view(observed: NetnsObserved) -> dict[str, Any]:
    """A namespace as results show it."""
    named = observed.named
    if named is None or named.identity is None:
        return {}
    owner = {"host_id": named.idmap[0], "size": named.idmap[1]} if named.idmap else None
    return {"name": named.name, "inode": named.identity.inode, "ours": named.ours, "owner": owner}


def _namespaces_before(observed: Observed) -> dict[str, Any]:
    return {f"netns {ns.name}": _diffable(o, dict(o.sysctls)) for ns, o in observed.namespaces if o.exists}


def _namespaces_after(observed: Observed) -> dict[str, Any]:
    return {f"netns {ns.name}": _diffable(o, values_after(ns.sysctls, o.sysctls), ns) for ns, o in observed.namespaces}


def _diffable(observed: NetnsObserved, sysctls: dict[str, Any], new: NetnsDesired | None = None) -> dict[str, Any]:
    named = observed.named
    idmap = named.idmap if named is not None and observed.exists else new.idmap if new is not None else None
    owner = f"{idmap[0]}:{idmap[1]}" if idmap else "host"
    # That of somebody else's namespace is left as it is.
    raised = new is not None and not (observed.exists and named is not None and not named.ours)
    return {"owner": owner, "loopback_up": observed.loopback_up or raised, "sysctls": sysctls}


def _with_sysctls(desired: VethDesired, veth: VethObserved, operations: list[Operation]) -> VethObserved:
    """The pair as observed, with the parameters of its namespaces as these operations leave them."""
    first, second = (
        replace(place, sysctls=as_left_by(operations, end.netns, place.sysctls))
        for end, place in zip(desired.ends, veth.places)
    )
    return replace(veth, places=(first, second))


def _sysctls(veth: VethObserved, number: int) -> Mapping[str, str | None]:
    return veth.places[number].sysctls


def _flat(state: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{thing}.{name}": value for thing, values in state.items() for name, value in values.items()}


class NetnsVethInfo:
    """See plugins/modules/netns_veth_info.py."""

    name = "netns_veth_info"
    needs_root = True
    needs_pyroute2 = True

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Every named namespace, and every pair of ours with both its ends. Raises OptionError, KernelError."""
        wanted = params.get("name")
        if wanted is not None:
            check_name("name", wanted)
        pairs: dict[str, dict[str, dict[str, Any]]] = {}
        world = World()
        for identity, ref in everywhere(world):
            for link in links_of(world, identity, ref):
                name, end = _pair_of(link.alias)
                if end and wanted in (None, name):
                    shown = {**view(end_state(ref, link, world), {}), "carrier": link.carrier}
                    pairs.setdefault(name, {})[end] = shown
        veths = [{"name": n, "ends": [ends[e] for e in sorted(ends)]} for n, ends in sorted(pairs.items())]
        spaces = [netns_view(NetnsObserved(netns.observe(name))) for name in netns.names()]
        return {"veths": veths, "namespaces": [view for view in spaces if view]}


def _pair_of(alias: str) -> tuple[str, str]:
    """The pair's name and which end it is; empty for a link that is no end of ours."""
    head, _slash, end = alias.rpartition("/")
    prefix = veth_alias("", 0).partition("/")[0] + "/"
    ours = head.startswith(prefix) and end in ("0", "1")
    return (head[len(prefix) :], end) if ours else ("", "")


__all__ = ["EndState", "NetnsVeth", "NetnsVethInfo", "observe_by_mark"]
