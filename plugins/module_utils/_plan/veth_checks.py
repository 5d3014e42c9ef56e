# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be so before a veth pair is touched."""

from __future__ import annotations

import ipaddress

from .._kernel.namespaces import NetnsRef
from .._kernel.netlink_links import Link
from .addresses import reaches
from .errors import Refused
from .links import veth_alias
from .sysctls import interface_of
from .veth_state import EndState, PlaceObserved, VethDesired, VethEnd, VethObserved

#: RFC 8200, 5: on a link with a smaller MTU the kernel switches IPv6 off.
IPV6_MIN_MTU = 1280


def check(
    desired: VethDesired, observed: VethObserved, wanted: tuple[EndState, EndState], bridges: frozenset[str]
) -> None:
    """Raises Refused; ``bridges`` will exist by the time they are needed."""
    for number, end in enumerate(desired.ends):
        place = observed.places[number]
        _check_place(end, place)
        peers = veth_alias(desired.name, 1 - number)
        if place.clash is not None and place.clash.alias != peers:
            raise Refused(_clash(end, place.clash))
        if wanted[number].bridge and end.bridge not in bridges:
            _check_bridge(end, place)
        _check_sysctls(end, place)
        if end.qdisc is not None and end.qdisc.kind not in observed.offered:
            raise Refused(
                f"{_named(end)}: this kernel has no {end.qdisc.kind} (sch_{end.qdisc.kind}), which the impairment "
                "needs: load or install that module, or leave the impairment out"
            )
        _check_ip(end, wanted[number])


def _named(end: VethEnd) -> str:
    return f"{end.interface} in {end.netns}"


def _check_place(end: VethEnd, place: PlaceObserved) -> None:
    if not place.exists and end.netns.kind != "name":
        raise Refused(f"{_named(end)}: there is no {_kind(end.netns)}")
    if place.is_host and any(r.is_default for r in end.routes or ()):
        raise Refused(f"{_named(end)}: that is the host's namespace, and its default route is never touched")


def _kind(netns: NetnsRef) -> str:
    if netns.kind == "pid":
        return f"process {netns.value} (or the PID belongs to another process now)"
    return f"network namespace at {netns.value}"


def _clash(end: VethEnd, link: Link) -> str:
    what = f"a {link.kind or 'physical'} interface" + (f" marked {link.alias!r}" if link.alias else " without our mark")
    return f"the name {end.interface} is taken in {end.netns} by {what}: choose another name, or remove that one"


def _check_bridge(end: VethEnd, place: PlaceObserved) -> None:
    if end.bridge is None:
        return
    if place.bridge is None:
        raise Refused(f"{_named(end)}: there is no bridge {end.bridge} in {end.netns}")
    if place.bridge.kind != "bridge":
        raise Refused(f"{_named(end)}: {end.bridge} in {end.netns} is no bridge but {place.bridge.kind or 'hardware'}")


def _check_sysctls(end: VethEnd, place: PlaceObserved) -> None:
    for name, _value in end.sysctls:
        interface = interface_of(name)
        if place.is_host and interface != end.interface:
            raise Refused(
                f"{_named(end)}: sysctl {name} belongs to the whole host; only those of {end.interface} are set"
            )
        if interface not in (None, end.interface):
            raise Refused(f"{_named(end)}: sysctl {name} belongs to another interface")
        if interface is None and place.exists and place.sysctls.get(name) is None:
            raise Refused(f"{_named(end)}: this kernel has no sysctl {name}")


def _check_ip(end: VethEnd, wanted: EndState) -> None:
    interfaces = [ipaddress.ip_interface(a) for a in wanted.addresses]
    if wanted.mtu < IPV6_MIN_MTU and any(i.version == 6 for i in interfaces):
        raise Refused(f"{_named(end)}: IPv6 needs an MTU of at least {IPV6_MIN_MTU}, this is {wanted.mtu}")
    if (end.hairpin is not None or end.isolated is not None) and not wanted.bridge:
        raise Refused(f"{_named(end)}: hairpin and isolated are flags of a bridge port: name the bridge")
    reached = [*(i.network for i in interfaces), *(ipaddress.ip_network(r.to) for r in wanted.routes if r.via is None)]
    for route in end.routes or ():
        if route.source is not None and route.source not in {str(i.ip) for i in interfaces}:
            raise Refused(
                f"{_named(end)}: the source {route.source} of route {route.to} is no address of the interface"
            )
        if route.via is None or route.onlink:
            continue
        if not reaches(reached, route.via):
            raise Refused(
                f"{_named(end)}: the gateway {route.via} of route {route.to} is in no network of the interface's "
                "addresses: correct it, or say onlink if it is meant"
            )
