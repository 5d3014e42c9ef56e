# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network interfaces: reading, making, changing and removing them (rtnetlink(7), RTM_*LINK)."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from typing import Any

from . import locations, namespaces, netlink
from .errors import KernelError
from .namespaces import HOST, NetnsRef
from .netlink_messages import DUMP, REQUEST, ask, attribute, attributes, hardware_address, number, text

_IFF_UP = 0x1
_LOWER_UP = 0x10000
#: linux/rtnetlink.h, linux/if_link.h: the message, its attributes, those of IFLA_LINKINFO and of a bridge port.
_GETLINK, _FIXED = 18, 16
_ADDRESS, _IFNAME, _MTU, _LINK, _MASTER, _LINKINFO, _IFALIAS, _EXT_MASK = 1, 3, 4, 5, 10, 18, 20, 29
_INFO_KIND, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 4, 5
_BRPORT_MODE, _BRPORT_LEARNING, _BRPORT_ISOLATED = 4, 8, 33
_SKIP_STATS = 1 << 3  # RTEXT_FILTER_SKIP_STATS


@dataclass(frozen=True)
class Port:
    """The flags of a bridge port, bridge(8)."""

    hairpin: bool = False
    isolated: bool = False
    learning: bool = True


@dataclass(frozen=True)
class Link:
    """An interface. ``master`` and ``peer_index`` are interface indexes, 0 for none; ``alias`` is its IFLA_IFALIAS.

    ``port`` is set for a bridge port.
    """

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    alias: str = ""
    master: int = 0
    peer_index: int = 0
    port: Port | None = None

    @property
    def ours(self) -> bool:
        """Whether it bears our mark."""
        return self.alias.startswith(locations.MARK + ":")


def links(netns: NetnsRef = HOST) -> tuple[Link, ...]:
    """Every interface of a namespace. Raises KernelError."""
    return tuple(map(_link, _ask(netns, str(netns), DUMP)))


def link(name: str, netns: NetnsRef = HOST) -> Link | None:
    """The interface of that name, None where there is none. Raises KernelError."""
    if not name or len(os.fsencode(name)) > 15:
        return None
    return _get(netns, name, attribute(_IFNAME, os.fsencode(name) + b"\0"))


def link_by_index(index: int, netns: NetnsRef = HOST) -> Link | None:
    """The interface of that index, None where there is none. Raises KernelError."""
    return _get(netns, str(index), index=index)


def _get(netns: NetnsRef, subject: str, name: bytes = b"", index: int = 0) -> Link | None:
    try:
        found = _ask(netns, subject, 0, name, index)
    except KernelError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return _link(found[0]) if found else None


def _ask(netns: NetnsRef, subject: str, flags: int, name: bytes = b"", index: int = 0) -> list[bytes]:
    body = struct.pack("=BxHiII", 0, 0, index, 0, 0) + name + attribute(_EXT_MASK, struct.pack("=I", _SKIP_STATS))
    return ask(_GETLINK, REQUEST | flags, body, netns, what="RTM_GETLINK", subject=subject)


def _link(message: bytes) -> Link:
    index, flags = struct.unpack_from("=iI", message, 4)
    found = attributes(message, _FIXED)
    info = attributes(found.get(_LINKINFO, b""))
    port: Port | None = None
    if text(info.get(_INFO_SLAVE_KIND)) == "bridge" and _INFO_SLAVE_DATA in info:
        flag = attributes(info[_INFO_SLAVE_DATA])
        port = Port(
            bool(number(flag.get(_BRPORT_MODE))),
            bool(number(flag.get(_BRPORT_ISOLATED))),
            _BRPORT_LEARNING not in flag or bool(number(flag[_BRPORT_LEARNING])),
        )
    return Link(
        index=index,
        name=text(found.get(_IFNAME)),
        kind=text(info.get(_INFO_KIND)),
        mac=hardware_address(found.get(_ADDRESS)),
        mtu=number(found.get(_MTU)),
        up=bool(flags & _IFF_UP),
        carrier=bool(flags & _LOWER_UP),
        alias=text(found.get(_IFALIAS)),
        master=number(found.get(_MASTER)),
        peer_index=number(found.get(_LINK)),
        port=port,
    )


def create_link(name: str, kind: str, netns: NetnsRef = HOST, **attributes: Any) -> None:
    """``ip link add``: attributes in pyroute2's spelling (mac is ``address``, kind's own as br_stp_state, vxlan_id).

    The alias is not taken by the kernel in this message: set it with set_link(). Raises KernelError.
    """
    ipr = netlink.handle(netns)
    wanted = {k: v for k, v in attributes.items() if v is not None}
    netlink.request(ipr.link, "add", subject=name, what="RTM_NEWLINK", ifname=name, kind=kind, **wanted)


def create_veth(
    first: tuple[NetnsRef, str, str, int | None],
    second: tuple[NetnsRef, str, str, int | None],
) -> None:
    """A veth(4) pair; each end is (namespace, name, MAC address, MTU or None). Both ends are down. Raises KernelError.

    The name, not yet the alias, is all that the ends bear: use a name that is known as ours until set_link() has
    given the alias.
    """
    netns, name, mac, mtu = first
    peer_netns, peer_name, peer_mac, peer_mtu = second
    fd = namespaces.open_netns(peer_netns)
    try:
        peer: dict[str, Any] = {"ifname": peer_name, "net_ns_fd": fd, "address": peer_mac}
        if peer_mtu is not None:
            peer["mtu"] = peer_mtu
        create_link(name, "veth", netns, address=mac, mtu=mtu, peer=peer)
    finally:
        os.close(fd)


def set_link(
    name: str,
    netns: NetnsRef = HOST,
    *,
    new_name: str | None = None,
    move_to: NetnsRef | None = None,
    master: str | None = None,
    up: bool | None = None,
    mtu: int | None = None,
    mac: str | None = None,
    alias: str | None = None,
) -> None:
    """Change what is given, in one message; ``master`` is a bridge's name in the same namespace, "" for none.

    Raises KernelError: EBUSY for a new name on a link that is up before Linux 6.2, ENODEV for a missing link or
    bridge, EXFULL for a bridge with 1023 ports.
    """
    ipr = netlink.handle(netns)
    values: dict[str, Any] = {"index": netlink.interface_index(name, netns)}
    if master is not None:
        values["master"] = netlink.interface_index(master, netns) if master else 0
    if up is not None:
        values["state"] = "up" if up else "down"
    given = {"ifname": new_name, "mtu": mtu, "address": mac, "ifalias": alias}
    values.update({key: value for key, value in given.items() if value is not None})
    fd = namespaces.open_netns(move_to) if move_to is not None else -1
    try:
        if fd >= 0:
            values["net_ns_fd"] = fd
        netlink.request(ipr.link, "set", subject=name, what="RTM_SETLINK", **values)
    finally:
        if fd >= 0:
            os.close(fd)


def set_port(
    name: str,
    netns: NetnsRef = HOST,
    *,
    hairpin: bool | None = None,
    isolated: bool | None = None,
    learning: bool | None = None,
) -> None:
    """Flags of a bridge port. Only RTM_SETLINK of the bridge family does it; RTM_NEWLINK accepts and ignores them.

    Raises KernelError.
    """
    ipr = netlink.handle(netns)
    flags = {"mode": hairpin, "isolated": isolated, "learning": learning}
    wanted: dict[str, Any] = {key: int(value) for key, value in flags.items() if value is not None}
    index = netlink.interface_index(name, netns)
    netlink.request(ipr.brport, "set", subject=name, what="RTM_SETLINK", index=index, **wanted)


def delete_link(name: str, netns: NetnsRef = HOST) -> None:
    """``ip link delete``; one that is gone is fine, a veth takes its other end along. Raises KernelError."""
    try:
        index = netlink.interface_index(name, netns)
        netlink.request(netlink.handle(netns).link, "del", subject=name, what="RTM_DELLINK", index=index)
    except KernelError as error:
        if error.errno != errno.ENODEV:
            raise
