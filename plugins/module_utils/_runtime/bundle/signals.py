# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals as people write them."""

from __future__ import annotations

import re
import signal

from ..errors import RuntimeFailure

_SIGNAL = re.compile(r"([0-9]{1,2})|(?:SIG)?([A-Z0-9]+?)(?:(?<=RTMIN)\+([0-9]{1,2}))?")


def signal_number(name: str) -> int:
    """15, TERM, SIGTERM or SIGRTMIN+3 to the number. Raises RuntimeFailure."""
    match = _SIGNAL.fullmatch(name.upper())
    number = 0
    if match is not None and match[1]:
        number = int(match[1])
    elif match is not None:
        base = signal.Signals.__members__.get("SIG" + match[2])
        number = int(base) + int(match[3] or 0) if base is not None else 0
    if not 0 < number <= signal.SIGRTMAX:
        raise RuntimeFailure(f"{name!r} is not a signal")
    return number


def signal_name(name: str) -> str:
    """15, TERM or SIGTERM to SIGTERM, as systemd spells it too; 37 to SIGRTMIN+3. Raises RuntimeFailure."""
    number = signal_number(name)
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if number > signal.SIGRTMIN else str(number)
