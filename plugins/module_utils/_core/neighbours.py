# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Neighbours that are told to the kernel, so that no answer of somebody else's (ARP, RFC 4861) can take their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .operation import Operation

if TYPE_CHECKING:  # networks are planned without it
    from .._kernel.namespaces import NetnsRef


@dataclass(frozen=True)
class KnowNeighbours(Operation):
    """Have these IPs at these MAC addresses on a link, whatever anybody there says."""

    netns: NetnsRef
    link: str
    entries: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        shown = ", ".join(f"{ip} at {mac}" for ip, mac in self.entries)
        return f"{self.link} in {self.netns}: know for good {shown}"

    def execute(self, kernel: Any) -> None:
        for ip, mac in self.entries:
            kernel.netlink_neighbours.know(self.link, ip, mac, self.netns)


@dataclass(frozen=True)
class ForgetNeighbours(Operation):
    """Let the kernel ask for these IPs again."""

    netns: NetnsRef
    link: str
    ips: tuple[str, ...]

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: no longer know {', '.join(self.ips)}"

    def execute(self, kernel: Any) -> None:
        for ip in self.ips:
            kernel.netlink_neighbours.forget(self.link, ip, self.netns)


def plan_neighbours(
    netns: NetnsRef, link: str, wanted: Mapping[str, str], known: Mapping[str, str], old: frozenset[str] = frozenset()
) -> list[Operation]:
    """``known`` are the entries that are there for good; of those not wanted the ``old`` ones are ours and go."""
    gone = tuple(sorted(ip for ip in old if ip in known and ip not in wanted))
    missing = tuple((ip, mac) for ip, mac in wanted.items() if known.get(ip) != mac)
    forget = [ForgetNeighbours(netns, link, gone)] if gone else []
    return [*forget, *([KnowNeighbours(netns, link, missing)] if missing else [])]
