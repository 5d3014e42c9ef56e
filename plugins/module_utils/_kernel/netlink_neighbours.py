# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which MAC address an IP has on a link, told to the kernel for good (ip-neighbour(8), RTM_*NEIGH)."""

from __future__ import annotations

import errno
import struct
from typing import Any

from . import netlink
from .errors import KernelError
from .namespaces import HOST, NetnsRef
from .netlink_ip import as_text
from .netlink_messages import DUMP, REQUEST, ask, attribute, attributes, hardware_address

_AF_INET, _AF_INET6 = 2, 10
_NUD_PERMANENT = 0x80
#: linux/neighbour.h
_GETNEIGH, _DST, _LLADDR, _IFINDEX = 30, 1, 2, 8


def permanent(link: str, netns: NetnsRef = HOST) -> dict[str, str]:
    """IP to MAC address of the entries that are there for good; none where there is no such link.

    Raises KernelError.
    """
    try:
        index = netlink.interface_index(link, netns)
    except KernelError as error:
        if error.errno == errno.ENODEV:
            return {}
        raise
    # Kernels that know the filter leave out those of other interfaces.
    body = struct.pack("=BxxxiHBB", 0, 0, 0, 0, 0) + attribute(_IFINDEX, struct.pack("=I", index))
    found = {}
    for entry in ask(_GETNEIGH, REQUEST | DUMP, body, netns, what="RTM_GETNEIGH", subject=link):
        family, there, state = struct.unpack_from("=BxxxiH", entry)
        if family not in (_AF_INET, _AF_INET6) or there != index or not state & _NUD_PERMANENT:
            continue
        known = attributes(entry, 12)
        if known.get(_LLADDR):
            found[as_text(known[_DST])] = hardware_address(known[_LLADDR])
    return found


def know(link: str, ip: str, mac: str, netns: NetnsRef = HOST) -> None:
    """``ip neighbour replace ... nud permanent``. Raises KernelError."""
    _change("replace", "RTM_NEWNEIGH", link, ip, netns, lladdr=mac, state=_NUD_PERMANENT)


def forget(link: str, ip: str, netns: NetnsRef = HOST) -> None:
    """``ip neighbour delete``; one that is gone, or whose link is, is fine. Raises KernelError."""
    try:
        _change("del", "RTM_DELNEIGH", link, ip, netns)
    except KernelError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV):
            raise


def _change(command: str, what: str, link: str, ip: str, netns: NetnsRef, **values: Any) -> None:
    netlink.request(
        netlink.handle(netns).neigh,
        command,
        subject=f"{ip} on {link}",
        what=what,
        ifindex=netlink.interface_index(link, netns),
        dst=ip,
        family=_AF_INET6 if ":" in ip else _AF_INET,
        **values,
    )
