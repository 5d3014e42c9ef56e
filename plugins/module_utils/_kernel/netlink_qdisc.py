# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Queueing disciplines: how packets leave an interface (rtnetlink(7), RTM_*QDISC; tc-netem(8), tc-tbf(8))."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import namespaces, netlink
from .errors import KernelError
from .namespaces import CLONE_NEWNET, HOST, NetnsRef

TC_H_ROOT = 0xFFFFFFFF
#: The kernel's clock for these messages counts in steps of 64 ns (PSCHED_SHIFT, include/net/pkt_sched.h).
TICK_NS = 64
_TC_LINKLAYER_ETHERNET = 1
_NETEM_FIELDS = ("delay", "limit", "loss", "gap", "duplicate", "jitter")
#: attribute -> our name -> the field's name in pyroute2
_NETEM_NESTED = {
    "TCA_NETEM_CORR": {"delay_correlation": "delay_corr", "loss_correlation": "loss_corr"},
    "TCA_NETEM_REORDER": {"reorder": "prob_reorder", "reorder_correlation": "corr_reorder"},
    "TCA_NETEM_CORRUPT": {"corrupt": "prob_corrupt"},
    "TCA_NETEM_RATE": {"rate": "rate"},
}
_TBF_FIELDS = ("rate", "limit", "buffer")


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
    ipr = netlink.handle(netns)
    found = netlink.request(ipr.get_qdiscs, subject=str(netns), what="RTM_GETQDISC")
    return {m["index"]: _qdisc(m) for m in found if m["parent"] == TC_H_ROOT}


def _qdisc(message: Any) -> Qdisc:
    kind = message.get_attr("TCA_KIND")
    options = message.get_attr("TCA_OPTIONS")
    values: dict[str, int] = {}
    if kind == "netem":
        values.update({name: options[name] for name in _NETEM_FIELDS})
        for attribute, names in _NETEM_NESTED.items():
            nested = options.get_attr(attribute)
            values.update({ours: nested[theirs] for ours, theirs in names.items()} if nested is not None else {})
    elif kind == "tbf":
        parameters = options.get_attr("TCA_TBF_PARMS")
        values.update({name: parameters[name] for name in _TBF_FIELDS})
    plain = tuple(sorted((name, int(value)) for name, value in values.items() if value))
    return Qdisc(kind, plain, message["handle"], message["parent"], message["index"])


def replace_root_qdisc(link: str, qdisc: Qdisc, netns: NetnsRef = HOST) -> None:
    """``tc qdisc replace dev LINK root``. Raises KernelError(ENOENT) where the kernel has no such discipline."""
    from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST

    attributes: list[Any] = [["TCA_KIND", qdisc.kind]]
    if qdisc.options:
        attributes.append(["TCA_OPTIONS", _encoded(qdisc.kind, dict(qdisc.options))])
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
    _request("RTM_NEWQDISC", link, netns, flags, attributes, f"{qdisc.kind} on {link}")


def delete_root_qdisc(link: str, netns: NetnsRef = HOST) -> None:
    """``tc qdisc delete dev LINK root``: back to the kernel's own; none to delete is fine. Raises KernelError."""
    from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST

    try:
        _request("RTM_DELQDISC", link, netns, NLM_F_REQUEST | NLM_F_ACK, [], f"qdisc on {link}")
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise


def _request(what: str, link: str, netns: NetnsRef, flags: int, attributes: list[Any], subject: str) -> None:
    # pyroute2's tc() computes the options itself, differently from version to version; a message of ours is exact.
    from pyroute2.netlink import rtnl
    from pyroute2.netlink.rtnl.tcmsg import tcmsg

    message = tcmsg()
    message["index"] = netlink.interface_index(link, netns)
    message["parent"] = TC_H_ROOT
    message["attrs"] = attributes
    ipr = netlink.handle(netns)
    netlink.settle(ipr)
    netlink.request(ipr.nlm_request, message, getattr(rtnl, what), flags, subject=subject, what=what)


def _encoded(kind: str, options: Mapping[str, int]) -> dict[str, Any]:
    if kind == "tbf":
        parameters = {name: options.get(name, 0) for name in _TBF_FIELDS}
        # With a link layer named the kernel needs no rate table.
        return {"attrs": [["TCA_TBF_PARMS", {**parameters, "rate___reserved": _TC_LINKLAYER_ETHERNET}]]}
    encoded: dict[str, Any] = {name: options.get(name, 0) for name in _NETEM_FIELDS}
    # Every group is sent, also where it is all zeros: the kernel keeps what a message does not mention.
    encoded["attrs"] = [
        [attribute, {theirs: options.get(ours, 0) for ours, theirs in names.items()}]
        for attribute, names in _NETEM_NESTED.items()
    ]
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
