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
from collections.abc import Iterator

from . import namespaces, netlink
from .errors import KernelError
from .namespaces import CLONE_NEWNET, HOST, NetnsRef

#: linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h
_NEWQDISC, _NEWTFILTER, _DELTFILTER, _GETTFILTER = 36, 44, 45, 46
_REQUEST, _ACK, _DUMP, _CREATE, _REPLACE = 0x1, 0x4, 0x300, 0x400, 0x100
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
        found = list(_ask(_GETTFILTER, _REQUEST | _DUMP, index, _INGRESS, netns=netns))
    except KernelError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # no such qdisc, or no such thing in this kernel
            return False
        raise
    return any(_is_ours(attributes) for attributes in found)


def guard(link: str, netns: NetnsRef = HOST) -> None:
    """Have the filter on an interface. Raises KernelError; ENOENT where the kernel has no such classifier."""
    index = netlink.interface_index(link, netns)
    kind = _attribute(_KIND, b"clsact\0")
    try:
        _change(_NEWQDISC, _CREATE, index, _CLSACT, kind, handle=_CLSACT_HANDLE, netns=netns)
    except KernelError as error:
        if error.errno not in (errno.EEXIST, errno.EINVAL):  # another program's, which takes filters as well
            raise
    program = _program()
    options = _attribute(_OPS_LEN, struct.pack("=H", len(program) // 8)) + _attribute(_OPS, program)
    options += _attribute(_FLAGS, struct.pack("=I", _ACT_DIRECT))
    body = _attribute(_KIND, b"bpf\0") + _attribute(_OPTIONS, options)
    _change(_NEWTFILTER, _CREATE | _REPLACE, index, _INGRESS, body, handle=_HANDLE, info=_info(), netns=netns)


def unguard(link: str, netns: NetnsRef = HOST) -> None:
    """Take the filter away; its qdisc, in which others may have filters, stays. Raises KernelError."""
    index = netlink.interface_index(link, netns)
    kind = _attribute(_KIND, b"bpf\0")
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


def _is_ours(attributes: dict[int, bytes]) -> bool:
    if attributes.get(_KIND) != b"bpf\0":
        return False
    options = dict(_attributes(attributes.get(_OPTIONS, b"")))
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
    for _answer in _ask(kind, _REQUEST | _ACK | flags, index, parent, body, handle=handle, info=info, netns=netns):
        pass


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
) -> Iterator[dict[int, bytes]]:
    """Send one message about an interface; yields the attributes of each answer. Raises KernelError."""
    import _socket  # the small one: importing socket costs 15 ms

    what = {_NEWQDISC: "RTM_NEWQDISC", _GETTFILTER: "RTM_GETTFILTER", _DELTFILTER: "RTM_DELTFILTER"}
    message = struct.pack("=BxxxiIII", 0, index, handle, parent, info) + body
    with namespaces.inside_netns(netns):
        link = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
    try:
        link.send(struct.pack("=IHHII", 16 + len(message), kind, flags, 1, 0) + message)
        while True:
            for answer, content in _messages(link.recv(1 << 17)):
                if answer in (2, 3):  # NLMSG_ERROR, which is also an acknowledgement, and NLMSG_DONE
                    code = -struct.unpack_from("=i", content)[0] if len(content) >= 4 else 0
                    if code:
                        subject = f"interface {index} in {netns}"
                        raise KernelError(code, what.get(kind, "RTM_NEWTFILTER"), subject)
                    return
                yield dict(_attributes(content[20:]))
    finally:
        link.close()


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of netlink messages, netlink(7)."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)
