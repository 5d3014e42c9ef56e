# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes, times, shares and rates as people write them, in the integers that the kernel keeps."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from .errors import OptionError

#: RFC 8200, 5. On a link with a smaller MTU the kernel has no IPv6: no address, no route, none of its sysctls. It makes
#: them again, with the values of ``default``, when the MTU grows (addrconf_notify() in net/ipv6/addrconf.c).
IPV6_MIN_MTU = 1280
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z%]*)")
_SIZE = re.compile(r"([0-9]{1,40})(?:\.([0-9]{1,9}))?\s?(?:([kmgtpe])(?:i?b)?|b)?", re.IGNORECASE)
_TIME_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_BITS = {"bit": 1, "kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000}
_BITS.update({"kibit": 1024, "mibit": 1024**2, "gibit": 1024**3})
_BITS.update({unit.replace("bit", "bps"): bits * 8 for unit, bits in _BITS.items()})
#: netem keeps times in 32 bits of 64 ns.
_TIME_MAX_NS = (2**32 - 1) * 64


def parse_size(option: str, value: str, expected: str = "a size such as 512M or 1.5G") -> int:
    """``512M``, ``1.5GiB`` or ``1073741824`` in bytes; suffixes are powers of 1024. Raises OptionError."""
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise OptionError(option, value, f"write bytes, or {expected}")
    number, fraction, unit = match.groups(default="")
    factor: int = 1024 ** (" kmgtpe".index(unit.lower()) if unit else 0)
    if factor == 1 and int(fraction or 0):
        raise OptionError(option, value, "there is no part of a byte")
    return int(int(number) * factor + int(fraction or 0) * factor // 10 ** len(fraction))


def parse_time(option: str, value: Any) -> int:
    """``10ms``, ``1.5s``, ``250us``, ``100ns`` in nanoseconds; a plain number is milliseconds. Raises OptionError."""
    number, unit = _split(option, value, "a time like 10ms, 1.5s or 250us")
    if (unit or "ms") not in _TIME_NS:
        raise OptionError(option, value, "a time ends in ns, us, ms or s")
    nanoseconds = int(number * _TIME_NS[unit or "ms"])
    if nanoseconds > _TIME_MAX_NS:
        raise OptionError(option, value, "is longer than the kernel can hold (274 s)")
    return nanoseconds


def parse_percent(option: str, value: Any) -> int:
    """``1.5%`` or ``1.5`` as a share of 2^32-1. Raises OptionError."""
    number, unit = _split(option, value, "a share like 1.5%")
    if unit not in ("", "%") or number > 100:
        raise OptionError(option, value, "is a share from 0% to 100%")
    return round(number * (2**32 - 1) / 100)


def parse_rate(option: str, value: Any) -> int:
    """``10mbit``, ``1.5gbit``, ``512kbit`` (tc(8)'s units; ``mbps`` are megabytes) in bytes a second.

    A plain number is bits a second. Raises OptionError.
    """
    number, unit = _split(option, value, "a rate like 10mbit")
    if (unit or "bit") not in _BITS:
        raise OptionError(option, value, "a rate ends in bit, kbit, mbit or gbit (bits), or bps, kbps, mbps (bytes)")
    rate = int(number * _BITS[unit or "bit"] / 8)
    if rate >= 2**32:
        raise OptionError(option, value, "is more than 34 gbit, the most that the kernel's 32 bits hold")
    if number and not rate:
        raise OptionError(option, value, "is less than one byte a second")
    return rate


def _split(option: str, value: Any, expected: str) -> tuple[Decimal, str]:
    match = _NUMBER.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if match is None:
        raise OptionError(option, value, f"write {expected}")
    return Decimal(match.group(1)), match.group(2).lower()
