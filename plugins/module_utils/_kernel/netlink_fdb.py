# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The MAC addresses that a bridge has behind one of its ports (bridge(8), fdb; RTM_*NEIGH of the bridge's family)."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

from . import netlink
from .errors import KernelError
from .namespaces import HOST, NetnsRef
from .netlink_messages import DUMP, REQUEST, ask, attributes, hardware_address

_AF_BRIDGE = 7
_GETNEIGH, _LLADDR = 30, 2
_NTF_SELF, _NTF_MASTER = 0x02, 0x04
_NUD_REACHABLE, _NUD_NOARP, _NUD_PERMANENT = 0x02, 0x40, 0x80


def behind(port: int, netns: NetnsRef = HOST) -> tuple[str, ...]:
    """The addresses that were set or learned there, by the port's number; not the port's own. Raises KernelError.

    Each once: a kernel that can filter VLANs has an entry for the port's VLAN beside the one without.
    """
    return tuple(dict.fromkeys(mac for mac, _state in _entries(port, netns)))


def pin(port: str, mac: str, netns: NetnsRef = HOST) -> None:
    """Have that address, for ever, and no other behind a port. Raises KernelError."""
    index = netlink.interface_index(port, netns)
    handle = netlink.handle(netns)
    for other, state in _entries(index, netns):
        if other != mac:
            _forget(index, other, state, port, netns)
    # Neither learned nor the bridge's own: "static" of bridge(8).
    netlink.request(
        handle.fdb,
        "replace",
        subject=f"{mac} behind {port}",
        what="RTM_NEWNEIGH",
        ifindex=index,
        lladdr=mac,
        flags=_NTF_MASTER,
        state=_NUD_NOARP | _NUD_REACHABLE,
    )


def _entries(port: int, netns: NetnsRef) -> Iterator[tuple[str, int]]:
    # Asked in the older of its two forms (struct ifinfomsg), by which the kernel answers for that port alone; in the
    # other it answers for all ports of all bridges (net/core/rtnetlink.c, valid_fdb_dump_legacy).
    body = struct.pack("=BxHiII", _AF_BRIDGE, 0, port, 0, 0)
    for entry in ask(_GETNEIGH, REQUEST | DUMP, body, netns, what="RTM_GETNEIGH", subject=str(port)):
        there, state, flags = struct.unpack_from("=iHB", entry, 4)
        if there == port and not state & _NUD_PERMANENT and not flags & _NTF_SELF:
            yield hardware_address(attributes(entry, 12).get(_LLADDR)), state


def _forget(index: int, mac: str, state: int, port: str, netns: NetnsRef) -> None:
    try:
        netlink.request(
            netlink.handle(netns).fdb,
            "del",
            subject=f"{mac} behind {port}",
            what="RTM_DELNEIGH",
            ifindex=index,
            lladdr=mac,
            flags=_NTF_MASTER,
            state=state | _NUD_NOARP | _NUD_REACHABLE,
        )
    except KernelError as error:
        if error.errno != errno.ENOENT:  # a learned one has just timed out
            raise
