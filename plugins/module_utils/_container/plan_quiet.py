# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container's network is configured from outside: nobody on its networks gives it routes or addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .._core.operation import Operation
from .._kernel.namespaces import NetnsRef
from .._links.sysctls import SetSysctls

#: ip-sysctl.rst. Of IPv4 redirects ``all`` counts beside the interface's own; new interfaces begin with ``default``.
_OF_INTERFACES = ("ipv6/accept_ra", "ipv6/accept_redirects", "ipv6/autoconf", "ipv4/accept_redirects")
_EVERYWHERE = "net/ipv4/conf/all/accept_redirects"
_WHY = "its neighbours give it no routes and no addresses"


def quiet_sysctls(declared: Iterable[str], interfaces: Iterable[str]) -> tuple[str, ...]:
    """The parameters that are to be 0: of the namespace for interfaces to come, and of those that are there.

    What the container declares itself, for whichever interface, is its own affair.
    """
    own = {_kind(name) for name in declared}
    kinds = [kind for kind in _OF_INTERFACES if kind not in own]
    found = [_EVERYWHERE] if _kind(_EVERYWHERE) not in own else []
    for interface in ("default", *interfaces):
        found += [f"net/{family}/conf/{interface}/{leaf}" for family, leaf in (kind.split("/") for kind in kinds)]
    return tuple(found)


def plan_quiet(netns: NetnsRef, live: Mapping[str, str | None]) -> list[Operation]:
    """One step, or nothing to do. ``live`` has every parameter of quiet_sysctls(), None where the kernel has none."""
    loud = tuple((name, "0") for name, value in live.items() if value not in (None, "0"))
    return [SetSysctls(netns, loud, _WHY)] if loud else []


def _kind(name: str) -> str:
    """ipv6/accept_ra of net.ipv6.conf.eth0.accept_ra."""
    match = re.fullmatch(r"net[./](ipv[46])[./]conf[./].+[./]([^./]+)", name)
    return f"{match.group(1)}/{match.group(2)}" if match else ""
