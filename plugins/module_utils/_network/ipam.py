# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which address a newcomer gets in a network: what was asked for, else what it has, else the lowest free one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from .._core.errors import OptionError, Refused
from .._core.ip_text import Address, ip_interface
from .records import Network, Subnet


def allocate(
    network: Network,
    taken: Iterable[str],
    wanted: Sequence[str] = (),
    current: Sequence[str] = (),
    option: str = "addresses",
) -> tuple[str, ...]:
    """One address with prefix in each subnet of the network, in the network's order.

    ``taken`` are the addresses of everyone else in the network (the gateways need not be named), ``wanted`` those
    declared (with or without prefix, at most one a subnet), ``current`` those that the newcomer had so far: kept where
    nothing was declared and they are still good, so that an address is stable. Pure.

    Raises OptionError for a wanted address that is not in the network, Refused for one that someone else has and for
    a subnet with no free address.
    """
    occupied = {_address(t) for t in taken} | {interface.ip for interface in network.interfaces}
    by_subnet = _wanted_by_subnet(network, wanted, occupied, option)
    had = {_address(c) for c in current}
    chosen = []
    for subnet in network.subnets:
        address = by_subnet.get(subnet) or _kept(subnet, had, occupied) or _lowest_free(network, subnet, occupied)
        chosen.append(f"{address}/{subnet.prefixlen}")
    return tuple(chosen)


def check_address(network: Network, text: str, option: str) -> tuple[Address, Subnet]:
    """An address that a member of the network may have, and its subnet. Raises OptionError."""
    try:
        interface = ip_interface(text)
    except ValueError:
        raise OptionError(option, text, "is not an IP address; write one like 10.88.0.5 or fd88::5") from None
    home = next((s for s in network.subnets if s.version == interface.version and interface.ip in s), None)
    ours = ", ".join(str(s) for s in network.subnets)
    if home is None and not ours:
        raise OptionError(option, text, f"network {network.name} is a switch, without addresses: leave it out")
    if home is None:
        raise OptionError(option, text, f"is outside network {network.name} ({ours})")
    if "/" in text and interface.network.prefixlen != home.prefixlen:
        raise OptionError(option, text, f"has another prefix length than network {network.name} ({home})")
    if not _assignable(interface.ip, home):
        raise OptionError(option, text, f"is the network or broadcast address of {home}")
    if str(interface.ip) in network.gateways:
        raise OptionError(option, text, f"is the gateway address of network {network.name}")
    return interface.ip, home


def _wanted_by_subnet(
    network: Network, wanted: Sequence[str], occupied: set[Address], option: str
) -> dict[Subnet, Address]:
    chosen: dict[Subnet, Address] = {}
    for text in wanted:
        address, home = check_address(network, text, option)
        if home in chosen:
            raise OptionError(option, text, f"is a second address in {home}; one address a subnet")
        if address in occupied:
            raise Refused(f"{option}: {text!r}: is in use in network {network.name}; choose another or leave it out")
        chosen[home] = address
    return chosen


def _kept(subnet: Subnet, had: set[Address], occupied: set[Address]) -> Address | None:
    good = [a for a in had if a in subnet and a not in occupied and _assignable(a, subnet)]
    return min(good, key=int, default=None)


def _lowest_free(network: Network, subnet: Subnet, occupied: set[Address]) -> Address:
    free = next((a for a in _candidates(subnet) if a not in occupied), None)
    if free is None:
        raise Refused(f"network {network.name}: no address is free in {subnet}; use a larger subnet")
    return free


def _candidates(subnet: Subnet) -> Iterator[Address]:
    """Lazily: an IPv6 subnet has more addresses than there is time."""
    first = int(subnet.network_address)
    kind = type(subnet.network_address)
    for number in range(first, first + subnet.num_addresses):
        address = kind(number)
        if _assignable(address, subnet):
            yield address


def _assignable(address: Address, subnet: Subnet) -> bool:
    """Neither the network nor the broadcast address (RFC 3021: a /31 has neither); in IPv6 not the
    subnet-router anycast address (RFC 4291, 2.6.1)."""
    if subnet.prefixlen >= subnet.max_prefixlen - 1:
        return True
    if address == subnet.network_address:
        return False
    return subnet.version == 6 or address != subnet.broadcast_address


@lru_cache(maxsize=4096)
def _address(text: str) -> Address:
    return ip_interface(text).ip
