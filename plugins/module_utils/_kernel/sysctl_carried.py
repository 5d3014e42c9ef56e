# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel parameters whose writing changes others of the same network namespace.

Of IPv4, ip_forward (conf/all/forwarding is another name of it) sets the forwarding of every interface and of
``default``, and conf/all/accept_redirects to the opposite (inet_forward_change(), net/ipv4/devinet.c); what is written
to conf/default goes to every interface that has neither an address nor a value of its own yet
(devinet_copy_dflt_conf()). Of IPv6, conf/all/forwarding and a few others go to every interface and to ``default``
(net/ipv6/addrconf.c). Where one parameter is shown in two units (net/ipv6/route.c, net/core/neighbour.c), the coarse
one sets the fine one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from .sysctl_names import name_of, path_of

Value = TypeVar("Value")
_LAST = 3
_IP_FORWARD = frozenset(("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/forwarding"))
_REDIRECTS = "/proc/sys/net/ipv4/conf/all/accept_redirects"
_CONF = re.compile(r"/proc/sys/net/(ipv[46])/conf/(.+)/([^/]+)")
_IPV6_OF_ALL = frozenset(
    ("forwarding", "disable_ipv6", "addr_gen_mode", "ignore_routes_with_linkdown", "force_forwarding")
)
#: addrconf_sysctl_force_forwarding() leaves new interfaces out.
_NOT_REACHED = ("force_forwarding", "default")
_COARSE = {"base_reachable_time": "_ms", "retrans_time": "_ms", "gc_min_interval": "_ms", "unres_qlen": "_bytes"}


def carries(name: str) -> bool:
    """Whether writing that parameter may change others."""
    return _rank(path_of(name)) < _LAST


def carried(name: str, value: str, others: Iterable[str]) -> dict[str, str]:
    """Of those parameters, the ones that change when that one gets a value, with what they are afterwards.

    "" where only the kernel can tell. A name is one that sysctl.path_of() takes.
    """
    path = path_of(name)
    found = ((other, _carried(path, value, path_of(other))) for other in others)
    return {other: becomes for other, becomes in found if becomes is not None}


def directory(name: str) -> str | None:
    """Where the interfaces are found that such a parameter gives its value to, whatever they had; None of any other."""
    path = path_of(name)
    if path in _IP_FORWARD:
        return "net/ipv4/conf"
    return "net/ipv6/conf" if _of(path)[2] in _given_to_all(path) else None


def along(name: str, entries: Iterable[str]) -> tuple[str, ...]:
    """The parameters that such a one overwrites; ``entries`` are the names in its directory.

    In the form with slashes, as an interface's name may have a dot.
    """
    path, where = path_of(name), directory(name)
    leaf = "forwarding" if path in _IP_FORWARD else _of(path)[2]
    interfaces = tuple(f"{where}/{entry}/{leaf}" for entry in entries if entry != "all")
    return (name_of(_REDIRECTS), *interfaces) if path in _IP_FORWARD else interfaces


def in_order(values: Mapping[str, Value]) -> dict[str, Value]:
    """The parameters in an order in which each keeps what is written to it; else in the order given."""
    return {name: values[name] for name in sorted(values, key=lambda name: _rank(path_of(name)))}


def _rank(path: str) -> int:
    if path in _IP_FORWARD or _of(path)[:2] == ("ipv6", "all"):
        return 0
    return 1 if _of(path)[1] == "default" else _LAST if path.rpartition("/")[2] not in _COARSE else 2


def _carried(path: str, value: str, other: str) -> str | None:
    """What becomes of the other parameter; None where it stays."""
    if other == path:
        return None
    family, interface, leaf = _of(path)
    if path in _IP_FORWARD:
        if other == _REDIRECTS:
            return _opposite(value)
        return value if other in _IP_FORWARD or _of(other)[::2] == ("ipv4", "forwarding") else None
    if leaf in _given_to_all(path):
        reached = _of(other)[::2] == (family, leaf) and (leaf, _of(other)[1]) != _NOT_REACHED
        return value if reached else None
    if (family, interface) == ("ipv4", "default") and leaf != "forwarding":
        return "" if _of(other)[::2] == (family, leaf) and _of(other)[1] != "all" else None
    return "" if other == path + _COARSE.get(path.rpartition("/")[2], "") else None


def _given_to_all(path: str) -> frozenset[str]:
    return _IPV6_OF_ALL if _of(path)[:2] == ("ipv6", "all") else frozenset()


def _of(path: str) -> tuple[str, str, str]:
    """Family, interface and leaf of a parameter below conf/, empty for any other."""
    match = _CONF.fullmatch(path)
    return (match.group(1), match.group(2), match.group(3)) if match else ("", "", "")


def _opposite(value: str) -> str:
    try:
        return "0" if int(value, 0) else "1"
    except ValueError:
        return ""
