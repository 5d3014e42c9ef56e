# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A filter on what comes in by an interface, before any bridge or firewall sees it (tc-bpf(8), RTM_*TFILTER).

It drops IPv4 packets from or to 127.0.0.0/8. It is a classic BPF program in direct-action mode, so it needs neither an
action module nor bpf(2). The messages are made here: pyroute2 knows the attributes of this classifier by wrong types.
"""

from __future__ import annotations

import errno
import os
import struct

from . import namespaces, netlink
from .errors import KernelError
from .namespaces import CLONE_NEWNET, HOST, NetnsRef
from .netlink_messages import ACK, CREATE, DUMP, REPLACE, REQUEST, ask, attribute, attributes

#: linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h
_NEWQDISC, _NEWTFILTER, _DELTFILTER, _GETTFILTER = 36, 44, 45, 46
_CLSACT, _CLSACT_HANDLE, _INGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2
_KIND, _OPTIONS = 1, 2
_OPS_LEN, _OPS, _FLAGS, _ACT_DIRECT = 4, 5, 8, 1
#: Its place among the filters of an interface, and the protocols that it sees (ETH_P_ALL).
_PRIORITY, _ALL, _HANDLE = 107, 0x0003, 1
_GO_ON, _DROP = 0xFFFFFFFF, 2


def _program() -> bytes:
    """linux/filter.h: (code, jump if true, jump if false, value), offsets from the Ethernet header.

    The kernel has taken off a first VLAN tag by now. It would take off further ones as long as they name no VLAN.
    """
    half, byte, equal, some, answer = 0x28, 0x30, 0x15, 0x45, 0x06
    steps = (
        (half, 0, 0, 12),
        (equal, 6, 0, 0x8100),
        (equal, 5, 0, 0x88A8),
        (equal, 0, 7, 0x0800),
        (byte, 0, 0, 26),
        (equal, 4, 0, 127),
        (byte, 0, 0, 30),
        (equal, 2, 3, 127),
        (half, 0, 0, 14),
        (some, 1, 0, 0x0FFF),
        (answer, 0, 0, _DROP),
        (answer, 0, 0, _GO_ON),
    )
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def guarded(index: int, netns: NetnsRef = HOST) -> bool:
    """Whether the interface of that number has the filter. Raises KernelError."""
    try:
        found = _ask(_GETTFILTER, REQUEST | DUMP, index, _INGRESS, netns=netns)
    except KernelError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # no such qdisc, or no such thing in this kernel
            return False
        raise
    return any(map(_is_ours, found))


def guard(link: str, netns: NetnsRef = HOST) -> None:
    """Have the filter on an interface. Raises KernelError; ENOENT where the kernel has no such classifier."""
    index = netlink.interface_index(link, netns)
    kind = attribute(_KIND, b"clsact\0")
    try:
        _change(_NEWQDISC, CREATE, index, _CLSACT, kind, handle=_CLSACT_HANDLE, netns=netns)
    except KernelError as error:
        if error.errno not in (errno.EEXIST, errno.EINVAL):  # another program's, which takes filters as well
            raise
    program = _program()
    options = attribute(_OPS_LEN, struct.pack("=H", len(program) // 8)) + attribute(_OPS, program)
    options += attribute(_FLAGS, struct.pack("=I", _ACT_DIRECT))
    body = attribute(_KIND, b"bpf\0") + attribute(_OPTIONS, options)
    _change(_NEWTFILTER, CREATE | REPLACE, index, _INGRESS, body, handle=_HANDLE, info=_info(), netns=netns)


def unguard(link: str, netns: NetnsRef = HOST) -> None:
    """Take the filter away; its qdisc, in which others may have filters, stays. Raises KernelError."""
    index = netlink.interface_index(link, netns)
    kind = attribute(_KIND, b"bpf\0")
    _change(_DELTFILTER, 0, index, _INGRESS, kind, handle=_HANDLE, info=_info(), netns=netns)


def offered() -> bool:
    """Whether this kernel has what the filter needs: tried on the loopback of a namespace made for it and dropped.

    The kernel may load modules (sch_ingress, cls_bpf) to answer. Raises KernelError for any other refusal.
    """
    home = namespaces.open_netns(HOST)
    try:
        namespaces.unshare(CLONE_NEWNET)
        try:
            guard("lo")
        finally:
            namespaces.setns(home, CLONE_NEWNET)
        return True
    except KernelError as error:
        if is_missing(error):
            return False
        raise
    finally:
        os.close(home)


def is_missing(error: OSError) -> bool:
    """Whether a refusal says that the kernel has no such qdisc or classifier."""
    return error.errno in (errno.ENOENT, errno.EOPNOTSUPP)


def _info() -> int:
    return _PRIORITY << 16 | int.from_bytes(struct.pack("=H", _ALL), "big")


def _is_ours(found: dict[int, bytes]) -> bool:
    if found.get(_KIND) != b"bpf\0":
        return False
    options = attributes(found.get(_OPTIONS, b""))
    return options.get(_OPS) == _program() and options.get(_FLAGS) == struct.pack("=I", _ACT_DIRECT)


def _change(
    kind: int,
    flags: int,
    index: int,
    parent: int,
    body: bytes,
    *,
    handle: int,
    netns: NetnsRef,
    info: int = 0,
) -> None:
    _ask(kind, REQUEST | ACK | flags, index, parent, body, handle=handle, info=info, netns=netns)


def _ask(
    kind: int,
    flags: int,
    index: int,
    parent: int,
    body: bytes = b"",
    *,
    handle: int = 0,
    info: int = 0,
    netns: NetnsRef,
) -> list[dict[int, bytes]]:
    """Send one message about an interface; the attributes of each answer. Raises KernelError."""
    names = {_NEWQDISC: "RTM_NEWQDISC", _GETTFILTER: "RTM_GETTFILTER", _DELTFILTER: "RTM_DELTFILTER"}
    what, subject = names.get(kind, "RTM_NEWTFILTER"), f"interface {index} in {netns}"
    message = struct.pack("=BxxxiIII", 0, index, handle, parent, info) + body
    return [attributes(answer, 20) for answer in ask(kind, flags, message, netns, what=what, subject=subject)]
