# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for what others depend on: that a container is healthy, or has done its work."""

from __future__ import annotations

import time

from .._core.errors import Refused
from .._kernel import container_records
from .._runtime.supervise import control
from .health import health

#: Seconds between two looks; and most between two health checks, as others wait for the first that is good.
_EVERY, _LONGEST = 0.25, 2.0


def await_healthy(name: str) -> None:
    """Until its image's check has answered well. Raises Refused where it has none, or not in the time that it says.

    A check is made as Docker does: each interval, and a failure within the start period does not count.
    """
    launch = container_records.read_launch(name) or {}
    check = launch.get("healthcheck")
    if not check:
        raise Refused(f"container {name} has no health check: its image declares none; wait for started instead")
    end, failures = time.monotonic() + check.get("start_period", 0), 0
    while True:
        found = health(name, launch) or {}
        if found.get("healthy"):
            return
        failures += time.monotonic() >= end
        if failures >= check.get("retries", 3):
            raise Refused(f"container {name} is not healthy: {str(found.get('output') or '').strip()}")
        time.sleep(min(check.get("interval", 30), _LONGEST))


def await_completed(name: str) -> None:
    """Until its process has ended by itself with code 0. Raises Refused where it ended otherwise."""
    while (found := control.observe(name)).status in ("created", "running", "restarting"):
        time.sleep(_EVERY)
    if not found.completed:
        why = f"was killed by {found.signal}" if found.signal else f"ended with code {found.exit_code}"
        raise Refused(f"container {name} {why}")
