# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MAC addresses: as an option gives one, and made from names."""

from __future__ import annotations

import hashlib
import re

from .errors import OptionError

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def parse_mac(option: str, value: str | None) -> str | None:
    """A unicast MAC address in the kernel's spelling, None for None. Raises OptionError."""
    if value is None:
        return None
    mac = value.lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise OptionError(option, value, "write six bytes like 02:00:00:12:34:56")
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise OptionError(option, value, "is a multicast or zero address; an interface needs a unicast one")
    return mac


def derived_mac(*parts: str) -> str:
    """A locally administered unicast address made from names: the same names give the same one, on any machine."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))
