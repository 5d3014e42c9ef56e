# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subnets for networks that name none: the same network always gets the same one, without a look at any host."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

from ...module_utils._core.ip_text import Network

#: Bits of an IPv4 subnet that is chosen: 253 containers.
_PREFIX = 24


def chosen_four(name: str, pool: ipaddress.IPv4Network, taken: Iterable[Network]) -> ipaddress.IPv4Network | None:
    """A /24 of the pool that a digest of the network's name points at, or the next one that nobody in ``taken`` has.

    None where the pool has none left.
    """
    others = [network for network in taken if network.version == 4]
    count = 1 << max(_PREFIX - pool.prefixlen, 0)
    first = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    for step in range(min(count, len(others) + 1)):
        number = (first + step) % count
        address = int(pool.network_address) + (number << (32 - _PREFIX))
        subnet = ipaddress.IPv4Network((address, max(_PREFIX, pool.prefixlen)))
        if not any(subnet.overlaps(other) for other in others):
            return subnet
    return None


def chosen_six(name: str) -> ipaddress.IPv6Network:
    """A unique local /64 (RFC 4193) whose 40 random bits are a digest of the network's name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return ipaddress.IPv6Network((int.from_bytes(b"\xfd" + digest[:5] + bytes(10), "big"), 64))
