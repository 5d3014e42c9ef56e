# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be so before a veth pair is touched."""

from __future__ import annotations

from .._core.errors import OptionError
from .._core.ip_text import ip_address, ip_interface, ip_network
from .._core.quantities import IPV6_MIN_MTU
from .._kernel.errors import absent
from .._kernel.netlink_links import Link
from .addresses import reaches, same_route
from .addresses import shown as shown_route
from .operations import veth_alias
from .qdisc import shown
from .records import EndState, PlaceObserved, VethDesired, VethEnd, VethObserved
from .sysctls import check_sysctls, interface_of


def check(
    desired: VethDesired,
    observed: VethObserved,
    wanted: tuple[EndState, EndState],
    bridges: frozenset[str],
    options: tuple[str, str],
) -> None:
    """Raises OptionError; ``bridges`` will exist by the time they are needed, ``options`` declare the ends."""
    for number, end in enumerate(desired.ends):
        place, option = observed.places[number], options[number]
        _check_place(option, end, place)
        peers = veth_alias(desired.name, 1 - number)
        if place.clash is not None and place.clash.alias != peers:
            raise OptionError(f"{option}.interface", end.interface, _clash(end, place.clash))
        if wanted[number].bridge and end.bridge not in bridges:
            _check_bridge(option, end, place)
        _check_sysctls(option, end, place)
        if end.qdisc is not None and end.qdisc.kind not in observed.offered:
            kind = end.qdisc.kind
            words = f"this kernel has no {kind} (sch_{kind}): load or install that module, or leave the impairment out"
            raise OptionError(f"{option}.impairment", shown(end.qdisc), words)
        _check_ip(option, end, wanted[number])
        _check_addresses(option, end, place)
        _check_routes(option, end, place, observed.ends[number])
    _check_both(desired, options)


def _check_place(option: str, end: VethEnd, place: PlaceObserved) -> None:
    if not place.exists and end.netns.kind == "pid":
        words = "there is no such process, or the PID belongs to another process now"
        raise OptionError(f"{option}.pid", end.netns.value, words)
    if not place.exists and end.netns.kind != "name":
        raise absent(OptionError(f"{option}.path", end.netns.value, "there is no network namespace at that path"))
    if place.is_host and any(r.is_default for r in end.routes or ()):
        words = f"{end.netns} is the host's namespace, and its default route is never touched"
        raise OptionError(f"{option}.routes", "default", words)


def _clash(end: VethEnd, link: Link) -> str:
    what = f"a {link.kind or 'physical'} interface" + (f" marked {link.alias!r}" if link.alias else " without our mark")
    return f"the name is taken in {end.netns} by {what}: choose another name, or remove that one"


def _check_bridge(option: str, end: VethEnd, place: PlaceObserved) -> None:
    if end.bridge is None:
        return
    if place.bridge is None:
        words = f"there is no bridge of that name in {end.netns}: make it first, or correct the name"
        raise absent(OptionError(f"{option}.bridge", end.bridge, words))
    if place.bridge.kind != "bridge":
        words = f"is no bridge in {end.netns} but {place.bridge.kind or 'hardware'}: name a bridge"
        raise OptionError(f"{option}.bridge", end.bridge, words)


def _check_sysctls(option: str, end: VethEnd, place: PlaceObserved) -> None:
    for name, value in end.sysctls:
        interface = interface_of(name)
        if place.is_host and interface != end.interface:
            words = f"belongs to the whole host; only those of {end.interface} are set"
            raise OptionError(f"{option}.sysctls.{name}", value, words)
        if interface not in (None, end.interface):
            raise OptionError(f"{option}.sysctls.{name}", value, f"belongs to another interface, not {end.interface}")
    check_sysctls(f"{option}.sysctls", end.sysctls, place.samples, place.refused)


def _check_ip(option: str, end: VethEnd, wanted: EndState) -> None:
    interfaces = [ip_interface(a) for a in wanted.addresses]
    broadcasts = {i.network.broadcast_address for i in interfaces if i.version == 4 and i.network.prefixlen < 31}
    if wanted.mtu < IPV6_MIN_MTU and any(i.version == 6 for i in interfaces):
        words = f"IPv6 needs at least {IPV6_MIN_MTU}: give it that, or remove the IPv6 addresses"
        raise OptionError(f"{option}.mtu", wanted.mtu, words)
    for name, flag in (("hairpin", end.hairpin), ("isolated", end.isolated)):
        if flag is not None and not wanted.bridge:
            raise OptionError(f"{option}.{name}", flag, "is a flag of a bridge port: name the bridge")
    reached = [*(i.network for i in interfaces), *(ip_network(r.to) for r in wanted.routes if r.via is None)]
    for number, route in enumerate(end.routes or ()):
        if route.source is not None and route.source not in {str(i.ip) for i in interfaces}:
            words = f"is no address of {end.interface}: declare it, or leave the source out"
            raise OptionError(f"{option}.routes[{number}].source", route.source, words)
        if route.via is None:
            continue
        if route.version == 6 and route.via in {str(i.ip) for i in interfaces}:
            words = "is the interface's own address: name the gateway's"  # IPv4 takes it (ip-route(8))
            raise OptionError(f"{option}.routes[{number}].via", route.via, words)
        if route.onlink:
            continue
        if ip_address(route.via) in broadcasts:
            words = "is the broadcast address of the interface's network: name a host of it"
            raise OptionError(f"{option}.routes[{number}].via", route.via, words)
        if not reaches(reached, route.via):
            words = "is in no network of the interface's addresses: correct it, or say onlink if it is meant"
            raise OptionError(f"{option}.routes[{number}].via", route.via, words)


def _check_addresses(option: str, end: VethEnd, place: PlaceObserved) -> None:
    """A single host's address (/32, /128) may be on many interfaces, which then are unnumbered; one with a network may
    not: the kernel would send what goes there by one of them."""
    for address in end.addresses or ():
        holder = place.taken.get(str(ip_interface(address).ip))
        if holder is not None and not _shareable(address):
            raise OptionError(f"{option}.addresses", address, f"{holder} in {end.netns} has it: choose another one")


def _check_routes(option: str, end: VethEnd, place: PlaceObserved, there: EndState | None) -> None:
    """A route that another interface has would be taken away from it: for the kernel it is the same one."""
    for number, route in enumerate(end.routes or ()):
        holder = place.routed.get(route.key)
        if holder is not None and not any(same_route(route, own) for own in (there.routes if there else ())):
            words = f"{end.netns} has that route through {holder}: give this one another metric, or remove that one"
            raise OptionError(f"{option}.routes[{number}].to", shown_route(route), words)


def _check_both(desired: VethDesired, options: tuple[str, str]) -> None:
    ips = {ip_interface(a).ip for a in desired.ends[0].addresses or ()}
    for address in desired.ends[1].addresses or ():
        if ip_interface(address).ip in ips:
            words = f"is an address of the other end ({options[0]}) too: each end needs its own"
            raise OptionError(f"{options[1]}.addresses", address, words)


def _shareable(address: str) -> bool:
    interface = ip_interface(address)
    return interface.ip.is_link_local or interface.network.prefixlen == interface.max_prefixlen
