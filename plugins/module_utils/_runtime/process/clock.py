# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time as our files have it."""

from __future__ import annotations

import time


def microseconds(text: str) -> int:
    """What now() once returned, as microseconds since the epoch."""
    import calendar  # here: with datetime and locale it would cost each start some milliseconds

    whole, _dot, rest = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1_000_000 + int(rest or 0) * 1000


def now() -> str:
    """RFC 3339, UTC, milliseconds."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
