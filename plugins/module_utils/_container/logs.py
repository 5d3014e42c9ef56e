# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last lines a container wrote, from its log or from the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._kernel import systemd
from .._runtime.process import clock
from .._runtime.supervise import logs, unit

#: Shorter values of variables, such as 1 or yes, are in log lines by chance.
_SECRET = 6
HIDDEN = "********"


def without_values(text: str, env: Mapping[str, str]) -> str:
    """Log lines as a task may show them: a program that prints its environment prints what is secret in it."""
    secret = {line for value in env.values() for line in (value, *value.splitlines()) if len(line) >= _SECRET}
    for value in sorted(secret, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text


def last_lines(name: str, launch: Mapping[str, Any] | None, count: int, since: str = "") -> list[str]:
    """The last ``count`` lines of stdout and stderr, oldest first; none for a container that never ran.

    ``since``: none that is older (RFC 3339 in UTC, as ``started_at``). Raises KernelError.
    """
    if count <= 0 or not launch:
        return []
    if systemd.running():
        return systemd.journal(unit.unit_name(name), count, clock.microseconds(since) if since else 0)
    # Both are of one length and one time zone: their order is that of the text.
    return [line.log.rstrip("\n") for line in logs.tail(launch["log"]["path"], count) if line.time >= since]
