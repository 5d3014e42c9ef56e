# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses and routes of interfaces (rtnetlink(7), RTM_*ADDR and RTM_*ROUTE)."""

from __future__ import annotations

import errno
import ipaddress
import struct
import time
from dataclasses import dataclass
from typing import Any

from . import locations, netlink
from .errors import KernelError
from .namespaces import HOST, NetnsRef
from .netlink_messages import DUMP, REQUEST, ask, attributes, number, text

IFA_F_NODAD, IFA_F_DADFAILED, IFA_F_TENTATIVE, IFA_F_PERMANENT = 0x02, 0x08, 0x40, 0x80
RT_TABLE_MAIN = 254
IFA_F_MANAGETEMPADDR, IFA_F_NOPREFIXROUTE = 0x100, 0x200
RTPROT_UNSPEC, RTPROT_REDIRECT, RTPROT_KERNEL, RTPROT_BOOT, RTPROT_STATIC, RTPROT_RA = 0, 1, 2, 3, 4, 9
PROTOCOL = locations.PROTOCOL
_RTN_UNICAST, _RTN_LOCAL = 1, 2
_RTNH_F_ONLINK = 4
_RTM_F_CLONED = 0x200  #: a cache entry
_AF_INET, _AF_INET6 = 2, 10
#: linux/if_addr.h
_GETADDR, _ADDRESS, _LOCAL, _LABEL, _FLAGS, _PROTO = 22, 1, 2, 3, 8, 11
#: linux/rtnetlink.h
_GETROUTE, _DST, _OIF, _GATEWAY, _PRIORITY, _PREFSRC, _TABLE, _VIA = 26, 1, 4, 5, 6, 7, 15, 18
#: What the kernel gives an IPv6 route that names no metric (IP6_RT_PRIO_USER).
DEFAULT_METRIC_V6 = 1024

#: What makes it the same route for the kernel: destination, metric and table.
RouteKey = tuple[str, int, int]


@dataclass(frozen=True)
class Address:
    """An address of an interface, e.g. ``10.88.0.2/24``; flags are those of if_addr.h (IFA_F_*).

    ``protocol`` is who set it (IFA_PROTO, 0 for nobody in particular and before Linux 5.18); ``label`` is IFA_LABEL.
    """

    address: str
    index: int
    flags: int = IFA_F_PERMANENT
    link_local: bool = False
    protocol: int = 0
    label: str = ""

    @property
    def tentative(self) -> bool:
        """Whether duplicate address detection has not yet let it be used."""
        return bool(self.flags & IFA_F_TENTATIVE)

    @property
    def dad_failed(self) -> bool:
        """Whether somebody else on the link has it."""
        return bool(self.flags & IFA_F_DADFAILED)


@dataclass(frozen=True)
class Route:
    """A route: ``to`` as prefix (``0.0.0.0/0``), ``via`` the gateway or None; ``metric`` as the kernel keeps it."""

    to: str
    via: str | None = None
    metric: int = 0
    source: str | None = None
    table: int = RT_TABLE_MAIN
    onlink: bool = False
    index: int = 0
    protocol: int = RTPROT_STATIC

    @property
    def version(self) -> int:
        return 6 if ":" in self.to else 4

    @property
    def key(self) -> RouteKey:
        """What makes it the same route for the kernel."""
        return (self.to, self.metric, self.table)

    @property
    def is_default(self) -> bool:
        return self.to.endswith("/0")


def addresses(netns: NetnsRef = HOST, index: int | None = None) -> tuple[Address, ...]:
    """The addresses of a namespace, or of one interface in it. Raises KernelError."""
    body = struct.pack("=BBBBi", 0, 0, 0, 0, 0)
    found = map(_address, ask(_GETADDR, REQUEST | DUMP, body, netns, what="RTM_GETADDR", subject=str(netns)))
    return tuple(each for each in found if index in (None, each.index))


def as_text(address: bytes) -> str:
    """An IP address as the ipaddress module of this Python writes it."""
    import _socket  # the small one: importing socket costs 15 ms

    if len(address) == 4:
        return str(_socket.inet_ntop(_AF_INET, address))
    written = str(_socket.inet_ntop(_AF_INET6, address))
    # inet_ntop(3) writes ``::1.2.3.4`` where that module may write ``::102:304``.
    return str(ipaddress.IPv6Address(written)) if "." in written else written


def _address(message: bytes) -> Address:
    family, length, flags, _scope, index = struct.unpack_from("=BBBBi", message)
    found = attributes(message, 8)
    # On a point-to-point address IFA_ADDRESS is the other side's; ours is IFA_LOCAL where there is one.
    own = found.get(_LOCAL) or found[_ADDRESS]
    link_local = family == _AF_INET6 and own[0] == 0xFE and own[1] & 0xC0 == 0x80
    flags = number(found[_FLAGS]) if _FLAGS in found else flags
    protocol, label = number(found.get(_PROTO)), text(found.get(_LABEL))
    return Address(f"{as_text(own)}/{length}", index, flags, link_local, protocol, label)


def add_address(
    link: str, address: str, netns: NetnsRef = HOST, *, dad: bool = False, protocol: int | None = None
) -> None:
    """``ip address replace``: an address with prefix; without ``dad`` an IPv6 address is usable at once.

    An IPv6 address that is there with another prefix length keeps it: remove it first. Raises KernelError: EACCES
    where IPv6 is off on the interface.
    """
    interface = ipaddress.ip_interface(address)
    ipr = netlink.handle(netns)
    values: dict[str, Any] = {"address": str(interface.ip), "prefixlen": interface.network.prefixlen}
    if interface.version == 4 and interface.network.prefixlen < 31:
        values["broadcast"] = str(interface.network.broadcast_address)
    if interface.version == 6 and not dad:
        values["flags"] = IFA_F_NODAD
    if protocol is not None:
        values["proto"] = protocol
    index = netlink.interface_index(link, netns)
    hint = f"Is IPv6 off there? See sysctl net.ipv6.conf.{link}.disable_ipv6" if interface.version == 6 else ""
    netlink.request(
        ipr.addr, "replace", subject=f"{address} on {link}", what="RTM_NEWADDR", hint=hint, index=index, **values
    )


def remove_address(link: str, address: str, netns: NetnsRef = HOST) -> None:
    """``ip address delete``; one that is already gone is fine. Raises KernelError."""
    interface = ipaddress.ip_interface(address)
    ipr = netlink.handle(netns)
    index = netlink.interface_index(link, netns)
    try:
        netlink.request(
            ipr.addr,
            "del",
            subject=f"{address} on {link}",
            what="RTM_DELADDR",
            index=index,
            address=str(interface.ip),
            prefixlen=interface.network.prefixlen,
        )
    except KernelError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise


def wait_for_dad(link: str, address: str, netns: NetnsRef = HOST, seconds: float = 10.0) -> None:
    """Until duplicate address detection lets an address be used.

    Raises KernelError: EADDRINUSE where somebody else on the link has it, ETIMEDOUT where nothing came of it.
    """
    deadline = time.monotonic() + seconds
    index = netlink.interface_index(link, netns)
    while True:
        found = next((a for a in addresses(netns, index) if a.address == address), None)
        if found is None:
            raise KernelError(errno.EADDRNOTAVAIL, "RTM_GETADDR", f"{address} on {link}")
        if found.dad_failed:
            hint = "Another host on the link has this address"
            raise KernelError(errno.EADDRINUSE, "RTM_GETADDR", f"{address} on {link}", hint)
        if not found.tentative:
            return
        if time.monotonic() > deadline:
            hint = "Duplicate address detection did not end: is the other end of the link up?"
            raise KernelError(errno.ETIMEDOUT, "RTM_GETADDR", f"{address} on {link}", hint)
        time.sleep(0.05)


def routes(netns: NetnsRef = HOST, index: int | None = None) -> tuple[Route, ...]:
    """The unicast routes of a namespace, or of one interface in it, in every table. Raises KernelError."""
    found = [each for version in (4, 6) for each in _routes(netns, version)]
    return tuple(route for kind, route in found if kind == _RTN_UNICAST and index in (None, route.index))


def route_holders(netns: NetnsRef, version: int) -> dict[RouteKey, tuple[int, ...]]:
    """Of each route of that IP version, by destination, metric and table, the numbers of the interfaces that have it;
    0 for one without an interface (a blackhole, several next hops). Raises KernelError."""
    holders: dict[RouteKey, tuple[int, ...]] = {}
    for _kind, route in _routes(netns, version):
        holders[route.key] = (*holders.get(route.key, ()), route.index)
    return holders


def local_networks(version: int, netns: NetnsRef = HOST) -> tuple[str, ...]:
    """What of that IP version the namespace takes as its own: its addresses, 127.0.0.0/8 and the like, as prefixes.

    Raises KernelError.
    """
    return tuple(route.to for kind, route in _routes(netns, version) if kind == _RTN_LOCAL)


def _routes(netns: NetnsRef, version: int) -> list[tuple[int, Route]]:
    """Type (RTN_*) and route of all that are no cache entries."""
    family = {4: _AF_INET, 6: _AF_INET6}[version]
    body = struct.pack("=BBBBBBBBI", family, *(0,) * 8)
    found = map(_route, ask(_GETROUTE, REQUEST | DUMP, body, netns, what="RTM_GETROUTE", subject=str(netns)))
    return [(kind, route) for kind, cached, route in found if not cached]


def _route(message: bytes) -> tuple[int, bool, Route]:
    family, length, _source, _tos, table, protocol, _scope, kind, flags = struct.unpack_from("=BBBBBBBBI", message)
    found = attributes(message, 12)
    # RTA_VIA: the gateway of an IPv4 route that is an IPv6 address, behind its family.
    via = found.get(_GATEWAY) or found.get(_VIA, b"")[2:]
    anywhere = "0.0.0.0" if family == _AF_INET else "::"
    route = Route(
        to=f"{as_text(found[_DST]) if _DST in found else anywhere}/{length}",
        via=as_text(via) if via else None,
        metric=number(found.get(_PRIORITY)),
        source=as_text(found[_PREFSRC]) if _PREFSRC in found else None,
        table=number(found.get(_TABLE)) or table,
        onlink=bool(flags & _RTNH_F_ONLINK),
        index=number(found.get(_OIF)),
        protocol=protocol,
    )
    return kind, bool(flags & _RTM_F_CLONED), route


def replace_route(link: str, route: Route, netns: NetnsRef = HOST) -> None:
    """``ip route replace`` through that interface: same destination, metric and table is the same route.

    Raises KernelError: ENETDOWN where the interface is down, ENETUNREACH or EHOSTUNREACH where the gateway is not
    on it.
    """
    hint = "Is the gateway in the network of one of the interface's addresses? If not on purpose, say onlink"
    _change_route("replace", "RTM_NEWROUTE", link, route, netns, hint if route.via else "")


def remove_route(link: str, route: Route, netns: NetnsRef = HOST) -> None:
    """``ip route delete``; one that is already gone is fine. Raises KernelError."""
    try:
        _change_route("del", "RTM_DELROUTE", link, route, netns, "")
    except KernelError as error:
        if error.errno != errno.ESRCH:
            raise


def _change_route(command: str, what: str, link: str, route: Route, netns: NetnsRef, hint: str) -> None:
    ipr = netlink.handle(netns)
    values: dict[str, Any] = {
        "dst": route.to,
        "gateway": route.via,
        "prefsrc": route.source,
        "priority": route.metric or None,
        "flags": _RTNH_F_ONLINK if route.onlink else None,
    }
    values = {key: value for key, value in values.items() if value is not None}
    values.update(
        family=2 if route.version == 4 else 10,
        oif=netlink.interface_index(link, netns),
        table=route.table,
        proto=route.protocol,
        # An IPv4 route without a gateway reaches hosts on the link itself.
        scope=0 if route.via or route.version == 6 else 253,
    )
    subject = f"{route.to} via {route.via or link}"
    netlink.request(ipr.route, command, subject=subject, what=what, hint=hint, **values)
