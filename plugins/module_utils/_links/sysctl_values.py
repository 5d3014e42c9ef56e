# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of kernel parameters: what they mean, as the kernel shows many of them in other words than it was given."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

#: proc_get_long() in kernel/sysctl.c reads numbers with base 0: 0x10 is 16, 010 is 8, and 08 is refused.
_NUMBER = r"-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)"
#: What the kernel prints of a parameter that is a number or a few; and what it takes for one, lists of ports included.
SHOWN_NUMBERS = re.compile(r"-?\d+( -?\d+)*")
GIVEN_NUMBERS = re.compile(rf"{_NUMBER}([ ,-]{_NUMBER})*")
_WORDS = re.compile(rf"{_NUMBER}( {_NUMBER})*")
_PORT_MAX = 65535


def same_value(name: str, given: str, shown: str | None) -> bool:
    """Whether a parameter that shows this is as it would be had that been written to it.

    ``shown`` is None for a parameter that is not there.
    """
    if shown is None or given == shown:
        return given == shown
    meaning = _meaning_of(name)
    if meaning is not None:
        try:
            return bool(meaning(given) == meaning(shown))
        except ValueError:
            return False
    if not SHOWN_NUMBERS.fullmatch(shown) or not _WORDS.fullmatch(given):
        return False
    numbers = [_number(word) for word in given.split()]
    # Of several numbers those are kept that nothing is given for.
    return numbers == [int(word) for word in shown.split()][: len(numbers)]


def is_mask(name: str) -> bool:
    """Whether it is a mask of CPUs, written in hexadecimal digits without 0x."""
    return name.endswith(("_mask", "_bitmap"))


def _meaning_of(name: str) -> Callable[[str], Any] | None:
    if is_mask(name):
        return _mask
    return _MEANINGS.get(re.split(r"[./]", name)[-1])


def _number(word: str) -> int:
    digits = word.lstrip("-")
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    return int(word, base)


def _ports(text: str) -> set[int]:
    """proc_do_large_bitmap(): numbers and ranges. Raises ValueError."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _dash, last = part.partition("-")
        ends = _number(first), _number(last or first)
        if ends[1] > _PORT_MAX:
            raise ValueError(part)
        found.update(range(ends[0], ends[1] + 1))
    return found


def _mask(text: str) -> int:
    """bitmap_parse(): groups of 32 bits, the highest first. Raises ValueError."""
    return int("".join(group.zfill(8) for group in text.split(",")), 16)


def _keys(text: str) -> list[list[int]]:
    """proc_tcp_fastopen_key(): one key or two, each of four hexadecimal numbers. Raises ValueError."""
    return [[int(word, 16) for word in key.split("-")] for key in text.split(",")]


_MEANINGS: dict[str, Callable[[str], Any]] = {
    "ip_local_reserved_ports": _ports,
    "stable_secret": ipaddress.ip_address,
    "tcp_fastopen_key": _keys,
}
