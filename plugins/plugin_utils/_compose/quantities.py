# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times, sizes and shares as Compose writes them.

Compose Specification, 11-extension.md: "Specifying durations" and "Specifying byte values". Sizes are powers of 1024.
"""

from __future__ import annotations

import re
from decimal import Decimal

_DURATION = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_SIZE = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,9}))? ?(?:([kmgtp])i?b?|b)?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?|\.[0-9]{1,6}")
#: What the kernel counts memory with.
_MOST = 1 << 62

DURATION = "write a time such as 30s, 1m30s or 500ms"
SIZE = "write bytes, or a size such as 512m or 1.5gb"


def nanoseconds(text: str) -> int | None:
    """A duration; None where it is none."""
    if text == "0":
        return 0
    if not _DURATION.fullmatch(text):
        return None
    return int(sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(text)))


def size(text: str) -> int | None:
    """Bytes; None where it is no size."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    number, fraction, unit = match.groups()
    factor = 1024 ** (" kmgtp".index(unit.lower()) if unit else 0)
    found = int(Decimal(f"{number}.{fraction or 0}") * factor)
    return found if found < _MOST else None


def cpus(text: str) -> Decimal | None:
    """A number of CPUs; None where it is none."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def plain(number: Decimal) -> str:
    """Without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def weight_of_shares(shares: int) -> int:
    """``cpu_shares`` (2 to 262144, 1024 by default) as cpu.weight (1 to 10000): what every OCI runtime computes."""
    bounded = min(max(shares, 2), 262144)
    return 1 + (bounded - 2) * 9999 // 262142


def weight_of_blkio(weight: int) -> int:
    """``blkio_config.weight`` (10 to 1000) as io.weight (1 to 10000): what every OCI runtime computes."""
    return 1 + (min(max(weight, 10), 1000) - 10) * 9999 // 990
