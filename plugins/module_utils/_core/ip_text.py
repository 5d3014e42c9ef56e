# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""IP addresses that options give, as text. Without a zone: Python's ipaddress takes any characters behind a '%', line
ends included, and such a text would become lines of its own in resolv.conf(5), hosts(5) or nft's language."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Interface = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


# What is read of one host names few addresses many times.
_address = lru_cache(maxsize=4096)(ipaddress.ip_address)
_interface = lru_cache(maxsize=4096)(ipaddress.ip_interface)
_network = lru_cache(maxsize=4096)(ipaddress.ip_network)


def ip_address(text: Any) -> Address:
    """An address. Raises ValueError, also for a number, which Python would take for one."""
    return _address(_plain(text))


def ip_interface(text: Any) -> Interface:
    """An address with the prefix length of its network. Raises ValueError."""
    return _interface(_plain(text))


def ip_network(text: Any) -> Network:
    """A network. Raises ValueError where bits are set behind the prefix."""
    return _network(_plain(text))


def mapped(ip: Address | Interface) -> str:
    """The IPv4 address that one of IPv6 is another form of (RFC 4291, 2.5.5.2), empty for any other.

    Programs write it so; no interface answers for it, as nothing but IPv4 carries it.
    """
    four = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return "" if four is None else str(four)


def _plain(text: Any) -> str:
    if not isinstance(text, str) or "%" in text:
        raise ValueError(f"{text!r} is not an IP address without a zone")
    return text
