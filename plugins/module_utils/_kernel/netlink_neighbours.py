# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which MAC address an IP has on a link, told to the kernel for good (ip-neighbour(8), RTM_*NEIGH)."""

from __future__ import annotations

import errno
from typing import Any

from . import netlink
from .errors import KernelError
from .namespaces import HOST, NetnsRef

_AF_INET, _AF_INET6 = 2, 10
_NUD_PERMANENT = 0x80


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
    found = {}
    for entry in netlink.request(netlink.handle(netns).get_neighbours, subject=link, what="RTM_GETNEIGH"):
        mac = entry.get_attr("NDA_LLADDR")
        ip = entry["family"] in (_AF_INET, _AF_INET6)
        if ip and entry["ifindex"] == index and entry["state"] & _NUD_PERMANENT and mac:
            found[str(entry.get_attr("NDA_DST"))] = str(mac)
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
