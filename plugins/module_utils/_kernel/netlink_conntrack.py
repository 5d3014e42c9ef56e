# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection tracking (nf_conntrack_netlink, conntrack(8)): forgetting flows that are translated as they no longer
should be."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from . import netlink, netlink_ip, pyroute2_parts
from .errors import KernelError

#: An address, None for any that is the host's own, and a port.
Endpoint = tuple[Optional[str], int]

_FAMILIES = {4: 2, 6: 10}
_PROTOCOLS = {"tcp": 6, "udp": 17}
_IP = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class _Flow:
    """What it was begun to and where that leads; ``entry`` is what names it to the kernel."""

    address: _IP
    port: int
    leads_to: tuple[_IP, int]
    entry: Mapping[str, Any]

    def __str__(self) -> str:
        return f"the flow to port {self.port} of {self.address}"


def forget_flows(version: int, protocol: str, targets: Mapping[Endpoint, Endpoint | None]) -> int:
    """Delete the host's flows to these endpoints that do not lead to their targets; returns how many there were.

    A target None is no translation. Translation is decided for a flow's first packet: after this its next one is a
    first one again. ``version`` is 4 or 6, ``protocol`` tcp or udp. Raises KernelError: EINVAL where the kernel has no
    nf_conntrack_netlink, ENOSYS where pyroute2 has no part for it.
    """
    try:
        conntrack = pyroute2_parts.conntrack()
        handle = conntrack.NFCTSocket(nfgen_family=_FAMILIES[version])
    except ImportError as error:
        raise KernelError(errno.ENOSYS, "import", "pyroute2", detail=str(error)) from error
    except OSError as error:
        raise KernelError.wrap(error, "socket", "NETLINK_NETFILTER") from error
    with handle:
        netlink.settle(handle)
        flows = list(_flows(conntrack, handle, version, protocol, {port for _address, port in targets}))
        local = _local(version) if flows else []
        return sum(_delete(handle, flow) for flow in flows if _is_astray(flow, targets, local))


def _flows(conntrack: Any, handle: Any, version: int, protocol: str, ports: set[int]) -> Iterator[_Flow]:
    """Those to one of these ports of any address."""
    family, number = _FAMILIES[version], _PROTOCOLS[protocol]
    only = {"dport": min(ports)} if len(ports) == 1 else {}  # the kernel then sends no others
    pattern = conntrack.NFCTAttrTuple(family=family, proto=number, **only)
    subject = f"{protocol} over IPv{version}"
    for message in netlink.request(handle.dump, tuple_orig=pattern, subject=subject, what="IPCTNL_MSG_CT_GET"):
        begun, reply = (
            conntrack.NFCTAttrTuple.from_netlink(family, message.get_attr(name))
            for name in ("CTA_TUPLE_ORIG", "CTA_TUPLE_REPLY")
        )
        if begun.dport in ports:
            # The number makes sure that no flow goes which has taken the place of this one meanwhile.
            entry = {"tuple_orig": begun, "id": message.get_attr("CTA_ID"), "zone": message.get_attr("CTA_ZONE")}
            leads_to = (ipaddress.ip_address(reply.saddr), reply.sport)
            yield _Flow(ipaddress.ip_address(begun.daddr), begun.dport, leads_to, entry)


def _local(version: int) -> list[Any]:
    return [ipaddress.ip_network(network) for network in netlink_ip.local_networks(version)]


def _is_astray(flow: _Flow, targets: Mapping[Endpoint, Endpoint | None], local: list[Any]) -> bool:
    """Whether it is one of those meant and leads elsewhere. Flows through this host have the same ports."""
    keys = (str(flow.address), flow.port), (None, flow.port)
    if not any(key in targets for key in keys) or not any(flow.address in network for network in local):
        return False
    target = targets.get(keys[0]) or targets.get(keys[1])
    if target is None:
        return flow.leads_to != (flow.address, flow.port)
    return flow.leads_to != (ipaddress.ip_address(str(target[0])), target[1])


def _delete(handle: Any, flow: _Flow) -> bool:
    """False where it has ended by itself."""
    try:
        netlink.request(handle.entry, "del", subject=str(flow), what="IPCTNL_MSG_CT_DELETE", **flow.entry)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True
