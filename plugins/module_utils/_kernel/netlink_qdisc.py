# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Queueing disciplines: how packets leave an interface (rtnetlink(7), RTM_*QDISC; tc-netem(8), tc-tbf(8))."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from . import namespaces, netlink
from .errors import KernelError
from .namespaces import CLONE_NEWNET, HOST, NetnsRef
from .netlink_messages import ACK, CREATE, DUMP, REPLACE, REQUEST, ask, attribute, attributes, text

TC_H_ROOT = 0xFFFFFFFF
#: The kernel's clock for these messages counts in steps of 64 ns (PSCHED_SHIFT, include/net/pkt_sched.h).
TICK_NS = 64
_TC_LINKLAYER_ETHERNET = 1
_NETEM_FIELDS = ("delay", "limit", "loss", "gap", "duplicate", "jitter")
#: linux/rtnetlink.h, linux/pkt_sched.h
_NEWQDISC, _DELQDISC, _GETQDISC, _KIND, _OPTIONS, _TBF_PARMS = 36, 37, 38, 1, 2, 1
#: Further groups of netem: each has its attribute's number, what it begins with, and how many numbers it has.
_NETEM_GROUPS: tuple[tuple[int, tuple[str, ...], int], ...] = (
    (1, ("delay_correlation", "loss_correlation"), 3),
    (3, ("reorder", "reorder_correlation"), 2),
    (4, ("corrupt",), 2),
    (6, ("rate",), 4),
)


@dataclass(frozen=True)
class Qdisc:
    """A queueing discipline as the kernel keeps it.

    ``options`` of netem: delay, jitter (ticks of 64 ns), limit (packets), loss, duplicate, corrupt, reorder,
    delay_correlation, loss_correlation, reorder_correlation (of 2^32-1), gap (packets), rate (bytes a second).
    Of tbf: rate (bytes a second), limit (bytes), buffer (ticks of 64 ns). Zeros are left out; other kinds have none.
    """

    kind: str
    options: tuple[tuple[str, int], ...] = ()
    handle: int = 0
    parent: int = TC_H_ROOT
    index: int = 0


def root_qdiscs(netns: NetnsRef = HOST) -> dict[int, Qdisc]:
    """The disciplines at the roots of a namespace's interfaces, by interface index. Raises KernelError."""
    body = struct.pack("=BxxxiIII", 0, 0, 0, 0, 0)
    found = map(_qdisc, ask(_GETQDISC, REQUEST | DUMP, body, netns, what="RTM_GETQDISC", subject=str(netns)))
    return {each.index: each for each in found if each.parent == TC_H_ROOT}


def _qdisc(message: bytes) -> Qdisc:
    index, handle, parent = struct.unpack_from("=iII", message, 4)
    found = attributes(message, 20)
    kind, options = text(found.get(_KIND)), found.get(_OPTIONS, b"")
    values: dict[str, int] = {}
    if kind == "netem":
        values.update(zip(_NETEM_FIELDS, struct.unpack_from("=6I", options)))
        nested = attributes(options, 24)
        for number, names, _size in _NETEM_GROUPS:
            if number in nested:
                values.update(zip(names, struct.unpack_from(f"={len(names)}I", nested[number])))
    elif kind == "tbf":
        # struct tc_tbf_qopt: two rates of 12 bytes each, the bytes a second last; then these.
        parameters = attributes(options)[_TBF_PARMS]
        values.update(rate=struct.unpack_from("=I", parameters, 8)[0])
        values.update(zip(("limit", "buffer"), struct.unpack_from("=II", parameters, 24)))
    plain = tuple(sorted((name, value) for name, value in values.items() if value))
    return Qdisc(kind, plain, handle, parent, index)


def replace_root_qdisc(link: str, qdisc: Qdisc, netns: NetnsRef = HOST) -> None:
    """``tc qdisc replace dev LINK root``. Raises KernelError(ENOENT) where the kernel has no such discipline."""
    body = attribute(_KIND, qdisc.kind.encode() + b"\0")
    if qdisc.options:
        body += attribute(_OPTIONS, _encoded(qdisc.kind, dict(qdisc.options)))
    _change(_NEWQDISC, "RTM_NEWQDISC", link, netns, CREATE | REPLACE, body, f"{qdisc.kind} on {link}")


def delete_root_qdisc(link: str, netns: NetnsRef = HOST) -> None:
    """``tc qdisc delete dev LINK root``: back to the kernel's own; none to delete is fine. Raises KernelError."""
    try:
        _change(_DELQDISC, "RTM_DELQDISC", link, netns, 0, b"", f"qdisc on {link}")
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise


def _change(kind: int, what: str, link: str, netns: NetnsRef, flags: int, body: bytes, subject: str) -> None:
    # pyroute2's tc() computes the options itself, differently from version to version; a message of ours is exact.
    fixed = struct.pack("=BxxxiIII", 0, netlink.interface_index(link, netns), 0, TC_H_ROOT, 0)
    ask(kind, REQUEST | ACK | flags, fixed + body, netns, what=what, subject=subject)


def _encoded(kind: str, options: Mapping[str, int]) -> bytes:
    if kind == "tbf":
        # struct tc_tbf_qopt. With a link layer named in its struct tc_ratespec, the kernel needs no rate table.
        rate = struct.pack("=BBHhHI", 0, _TC_LINKLAYER_ETHERNET, 0, 0, 0, options.get("rate", 0))
        rest = struct.pack("=12xIII", options.get("limit", 0), options.get("buffer", 0), 0)
        return attribute(_TBF_PARMS, rate + rest)
    encoded = struct.pack("=6I", *(options.get(name, 0) for name in _NETEM_FIELDS))
    # Every group is sent, also where it is all zeros: the kernel keeps what a message does not mention.
    for number, names, size in _NETEM_GROUPS:
        values = [*(options.get(name, 0) for name in names), *(0,) * (size - len(names))]
        encoded += attribute(number, struct.pack(f"={size}I", *values))
    return encoded


def offered(qdisc: Qdisc) -> bool:
    """Whether this kernel has a discipline of that kind. Tried on the loopback of a namespace made for it and dropped.

    The kernel may load the module (sch_netem) to answer. Raises KernelError for any other refusal.
    """
    home = namespaces.open_netns(HOST)
    scratch = -1
    try:
        namespaces.unshare(CLONE_NEWNET)
        try:
            scratch = namespaces.open_netns(HOST)
            replace_root_qdisc("lo", qdisc)
        finally:
            namespaces.setns(home, CLONE_NEWNET)
        return True
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
            return False
        raise
    finally:
        if scratch >= 0:
            netlink.forget(NetnsRef.at(f"/proc/self/fd/{scratch}"))
            os.close(scratch)
        os.close(home)
