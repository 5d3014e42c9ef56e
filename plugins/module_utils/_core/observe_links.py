# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interfaces of a host's network namespaces, as they are and as they will be."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from .._kernel import namespaces, netlink_ip, netlink_links, netlink_neighbours, netlink_qdisc, netns
from .._kernel.namespaces import HOST, NamespaceId, NetnsRef
from .._kernel.netlink_links import Link
from .ip_text import ip_interface

if TYPE_CHECKING:
    from .observe_world import World

#: Numbers of what is yet to be made: the kernel counts interfaces from 1, and devices from 0.
_NOT_YET = count(-1, -1)


def links(world: World, ref: NetnsRef = HOST) -> tuple[Link, ...]:
    """Every interface of a namespace. Raises KernelError."""
    return world.read(netlink_links.links, ref)


def link(world: World, name: str, ref: NetnsRef = HOST) -> Link | None:
    """The interface of that name; the kernel is asked for it alone where nobody has listed the namespace yet.

    Raises KernelError.
    """
    if world.knows(netlink_links.links, ref):
        return next((found for found in links(world, ref) if found.name == name), None)
    return world.read(netlink_links.link, name, ref)


def netns_identity(world: World, ref: NetnsRef) -> NamespaceId | None:
    """What tells a network namespace from any other, None where there is none. Raises KernelError."""
    return world.read(namespaces.netns_identity, ref)


def expect_link(world: World, made: Link, ref: NetnsRef = HOST) -> None:
    """There is that interface now, instead of one of its name; its number is made up where it is 0."""
    others = tuple(found for found in links(world, ref) if found.name != made.name)
    numbered = made if made.index else replace(made, index=next(_NOT_YET))
    world.expect((*others, numbered), netlink_links.links, ref)


def expect_changed(world: World, name: str, ref: NetnsRef, **changed: Any) -> None:
    """The interface of that name has other properties."""
    found = next((each for each in links(world, ref) if each.name == name), None)
    if found is not None:
        expect_link(world, replace(found, **changed), ref)


def expect_gone(world: World, name: str, ref: NetnsRef = HOST) -> None:
    """The interface of that name is there no more, and of a pair of ours the other end neither."""
    gone = next((found for found in links(world, ref) if found.name == name), None)
    world.expect(tuple(found for found in links(world, ref) if found is not gone), netlink_links.links, ref)
    if gone is None or gone.kind != "veth" or not gone.ours:
        return
    pair, _slash, end = gone.alias.rpartition("/")
    other = f"{pair}/{1 - int(end)}"
    links(world)  # the host's are read now, or they would be found there later
    for (place,), there in world.known(netlink_links.links):
        world.expect(tuple(found for found in there if found.alias != other), netlink_links.links, place)


def expect_moved(world: World, name: str, ref: NetnsRef, new_name: str, to: NetnsRef) -> None:
    """The interface of that name has another one, or is in another namespace, where it has another number."""
    moved = next((found for found in links(world, ref) if found.name == name), None)
    if moved is not None:
        world.expect(tuple(found for found in links(world, ref) if found is not moved), netlink_links.links, ref)
        expect_link(world, replace(moved, name=new_name, index=moved.index if to == ref else 0), to)


def expect_addresses(world: World, name: str, ref: NetnsRef = HOST, *, come: str = "", goes: str = "") -> None:
    """An address of ours comes to the interface of that name, and another one goes."""
    there = link(world, name, ref)
    if there is None:
        return
    ips = {ip_interface(each).ip for each in (come, goes) if each}
    kept = [
        each
        for each in world.read(netlink_ip.addresses, ref)
        if each.index != there.index or ip_interface(each.address).ip not in ips
    ]
    if come:
        link_local = ":" in come and ip_interface(come).is_link_local
        kept.append(netlink_ip.Address(come, there.index, link_local=link_local, protocol=netlink_ip.PROTOCOL))
    world.expect(tuple(kept), netlink_ip.addresses, ref)
    if goes and ":" not in goes and not any(each.index == there.index and ":" not in each.address for each in kept):
        # The kernel takes the routes of IPv4 along with the last address.
        for route in world.read(netlink_ip.routes, ref):
            if route.index == there.index and route.version == 4:
                expect_route(world, name, ref, route, there=False)


def expect_route(world: World, name: str, ref: NetnsRef, route: netlink_ip.Route, there: bool) -> None:
    """That route leads through the interface of that name, or does no more."""
    through = link(world, name, ref)
    if through is None:
        return
    holders = dict(world.read(netlink_ip.route_holders, ref, route.version))
    holders.pop(route.key, None)
    kept = tuple(each for each in world.read(netlink_ip.routes, ref) if each.key != route.key)
    if there:
        holders[route.key] = (through.index,)
        kept = (*kept, replace(route, index=through.index))
    world.expect(holders, netlink_ip.route_holders, ref, route.version)
    world.expect(kept, netlink_ip.routes, ref)


def expect_netns(world: World, name: str, idmap: tuple[int, int] | None) -> None:
    """There is a named network namespace of ours with nothing in it but loopback, which is up."""
    ref, identity = NetnsRef.named(name), NamespaceId(0, next(_NOT_YET))
    loopback = Link(1, "lo", "", "00:00:00:00:00:00", 65536, True, True)
    world.expect(netns.NamedNetns(name, identity, True, idmap), netns.observe, name)
    world.expect(identity, namespaces.netns_identity, ref)
    world.expect((loopback,), netlink_links.links, ref)
    for empty in (netlink_ip.addresses, netlink_ip.routes):
        world.expect((), empty, ref)
    for version in (4, 6):
        world.expect({}, netlink_ip.route_holders, ref, version)
    world.expect({}, netlink_qdisc.root_qdiscs, ref)
    world.expect_new_sysctls(ref)


def expect_no_netns(world: World, name: str) -> None:
    """There is no network namespace of that name any more."""
    world.expect(None, netns.observe, name)
    world.expect(None, namespaces.netns_identity, NetnsRef.named(name))


def permanent(world: World, interface: str, ref: NetnsRef = HOST) -> dict[str, str]:
    """The neighbours that an interface knows for good: IP to MAC address. Raises KernelError."""
    there = link(world, interface, ref)
    if there is None or there.index < 0:
        return {}
    return world.read(netlink_neighbours.permanent, interface, ref)
