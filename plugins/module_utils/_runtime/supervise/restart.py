# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a container that ended is started again. Pure."""

from __future__ import annotations

from .launch import Restart

#: A run that lasted this long (seconds) was a success: waiting times and the count of tries begin anew.
STABLE = 10.0


def next_delay(restart: Restart, exit_code: int, tries: int) -> float | None:
    """Seconds to wait before the next try, None when there is to be none.

    tries: how often it was started again since it last ran for STABLE seconds. The delay doubles each time.
    """
    if restart.policy == "no" or (restart.policy == "on-failure" and exit_code == 0):
        return None
    if restart.max_retries and tries >= restart.max_retries:
        return None
    longest = max(restart.max_delay_ms, restart.delay_ms)
    return min(restart.delay_ms << min(tries, 30), longest) / 1000


def tries_after(tries: int, ran: float) -> int:
    """The count of tries once a run of that many seconds is over."""
    return 0 if ran >= STABLE else tries
