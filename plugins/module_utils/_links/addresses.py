# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses and routes of one interface: from what is there to what is wanted, losing as little as may be."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

from .._core import observe_links
from .._core.ip_text import ip_address, ip_interface
from .._core.operation import Operation
from .._kernel.namespaces import HOST, NetnsRef
from .._kernel.netlink_ip import PROTOCOL, RTPROT_BOOT, RTPROT_STATIC, RTPROT_UNSPEC, Route

if TYPE_CHECKING:
    from .._core.observe_world import World

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class AddAddress(Operation):
    """Give an interface an address; dad lets duplicate address detection run on an IPv6 one."""

    link: str
    netns: NetnsRef
    address: str
    dad: bool = False

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: add address {self.address}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_ip.add_address(self.link, self.address, self.netns, dad=self.dad, protocol=PROTOCOL)

    def expect(self, world: World) -> None:
        observe_links.expect_addresses(world, self.link, self.netns, come=self.address)


@dataclass(frozen=True)
class RemoveAddress(Operation):
    """Take an address from an interface."""

    link: str
    netns: NetnsRef
    address: str

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: remove address {self.address}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_ip.remove_address(self.link, self.address, self.netns)

    def expect(self, world: World) -> None:
        observe_links.expect_addresses(world, self.link, self.netns, goes=self.address)


@dataclass(frozen=True)
class WaitForDad(Operation):
    """Wait until duplicate address detection lets an address be used."""

    link: str
    netns: NetnsRef
    address: str

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: wait until nobody else claims {self.address}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_ip.wait_for_dad(self.link, self.address, self.netns)


@dataclass(frozen=True)
class ReplaceRoute(Operation):
    """Set a route through an interface; one to the same destination with the same metric is replaced in place."""

    link: str
    netns: NetnsRef
    route: Route

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: set route {shown(self.route)}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_ip.replace_route(self.link, self.route, self.netns)

    def expect(self, world: World) -> None:
        observe_links.expect_route(world, self.link, self.netns, self.route, there=True)


@dataclass(frozen=True)
class RemoveRoute(Operation):
    """Remove a route through an interface."""

    link: str
    netns: NetnsRef
    route: Route

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: remove route {shown(self.route)}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_ip.remove_route(self.link, self.route, self.netns)

    def expect(self, world: World) -> None:
        observe_links.expect_route(world, self.link, self.netns, self.route, there=False)


def shown(route: Route) -> str:
    """A route as ip-route(8) writes it."""
    words = ["default" if route.is_default else route.to]
    words += ["via", route.via] if route.via else []
    words += ["metric", str(route.metric)] if route.metric else []
    words += ["src", route.source] if route.source else []
    words += ["table", str(route.table)] if route.table != 254 else []
    words += ["onlink"] if route.onlink else []
    return " ".join(words)


def same_route(one: Route, other: Route) -> bool:
    """Whether two routes do the same; who set them and the interface's number do not count."""
    return replace(one, index=0, protocol=0) == replace(other, index=0, protocol=0)


@dataclass(frozen=True)
class Owners:
    """Addresses of an interface that bear our number, and those that bear the mark of another program."""

    ours: frozenset[str] = frozenset()
    theirs: frozenset[str] = frozenset()


def merged_addresses(
    there: tuple[str, ...], wanted: tuple[str, ...] | None, exclusive: bool, owners: Owners = Owners()
) -> tuple[str, ...]:
    """The addresses afterwards: those wanted first; one IP has one prefix length. Of others go ours and, exclusive,
    those that nobody in particular has set."""
    if wanted is None:
        return there
    named = {ip_interface(a).ip for a in wanted}
    others = [a for a in there if ip_interface(a).ip not in named]
    kept = [a for a in others if a in owners.theirs or not (exclusive or a in owners.ours)]
    return wanted + tuple(kept)


def merged_routes(
    there: tuple[Route, ...], wanted: tuple[Route, ...] | None, exclusive: bool, keep_default: bool = False
) -> tuple[Route, ...]:
    """The routes afterwards. Of those that are not named, from any table, go ours and, exclusive, those that were set
    by hand: what a routing daemon or a DHCP client has set bears its number, and it would set that again. With
    keep_default a default route stays (the host's is nobody's but the host's)."""
    if wanted is None:
        return there
    keys = {r.key for r in wanted}
    others = [r for r in there if r.key not in keys]
    return wanted + tuple(r for r in others if (keep_default and r.is_default) or not _goes(r, exclusive))


def _goes(route: Route, exclusive: bool) -> bool:
    by_hand = (RTPROT_UNSPEC, RTPROT_BOOT, RTPROT_STATIC)
    return route.protocol == PROTOCOL or (exclusive and route.protocol in by_hand)


def plan_addresses(
    link: str, netns: NetnsRef, there: tuple[str, ...], wanted: tuple[str, ...], dad: bool
) -> tuple[list[Operation], frozenset[int]]:
    """Operations, and the address families whose routes the kernel may drop on the way.

    New addresses in other subnets come before old ones go, so that the interface is never without one if it can be
    helped. Within a subnet the old ones go first: an IPv4 address that comes second is a secondary, which the kernel
    removes with its primary; for the same reason those of that subnet that stay are set once more.
    """
    gone = [a for a in there if a not in wanted]
    gone_networks = {ip_interface(a).network for a in gone}
    gone_ips = {ip_interface(a).ip for a in gone}
    early: list[str] = []
    late: list[str] = []
    for address in wanted:
        interface = ip_interface(address)
        shares = interface.network in gone_networks and interface.version == 4
        if address in there and not shares:
            continue
        (late if shares or interface.ip in gone_ips else early).append(address)
    operations: list[Operation] = [AddAddress(link, netns, a, dad) for a in early]
    operations += [RemoveAddress(link, netns, a) for a in gone]
    operations += [AddAddress(link, netns, a, dad) for a in late]
    stays = {ip_interface(a).version for a in wanted if a not in late}
    # IPv6 keeps an interface's routes without any address. Of IPv4 they go, unless promote_secondaries left one.
    bare = ({ip_interface(a).version for a in gone} - stays) & {4}
    return operations, frozenset(bare)


def plan_routes(
    link: str,
    netns: NetnsRef,
    there: tuple[Route, ...],
    wanted: tuple[Route, ...],
    bare: frozenset[int] = frozenset(),
) -> list[Operation]:
    """Routes without a gateway first (others' gateways may lie behind them); what is not wanted goes last.

    Those of a family in ``bare`` may have gone already: they are set and removed as if nobody knew.
    """
    set_now = [r for r in wanted if r.version in bare or not any(same_route(r, t) for t in there)]
    keys = {r.key for r in wanted}
    gone = [r for r in there if r.key not in keys]
    operations: list[Operation] = [ReplaceRoute(link, netns, r) for r in sorted(set_now, key=lambda r: bool(r.via))]
    return operations + [RemoveRoute(link, netns, r) for r in sorted(gone, key=lambda r: not r.via)]


def reaches(networks: Iterable[Network], gateway: str) -> bool:
    """Whether a gateway is on the link: in one of these networks, or link-local."""
    via = ip_address(gateway)
    return via.is_link_local or any(via in n for n in networks if n.version == via.version)


def surviving_routes(there: tuple[Route, ...], old: tuple[str, ...], new: tuple[str, ...]) -> tuple[Route, ...]:
    """Routes that nobody declared, after a change of addresses: the kernel takes those of IPv4 along with its last
    address, and they are set again where their gateway can still be reached."""
    _operations, bare = plan_addresses("", HOST, old, new, False)
    networks = [ip_interface(a).network for a in new]
    gone = set(old) - set(new)
    return tuple(
        r
        for r in without_sources(there, gone)
        if r.version not in bare or r.via is None or r.onlink or reaches(networks, r.via)
    )


def without_sources(routes: Iterable[Route], gone: Iterable[str]) -> tuple[Route, ...]:
    """The routes that are left when addresses go: the kernel drops those of IPv4 that name one as their source
    (fib_sync_down_addr()), and takes the source from those of IPv6 (fib6_remove_prefsrc())."""
    ips = {str(ip_interface(a).ip) for a in gone}
    left = (r for r in routes if r.version == 6 or r.source not in ips)
    return tuple(replace(r, source=None) if r.source in ips else r for r in left)
