# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports, as networks and containers take them."""

from __future__ import annotations

from typing import Any


def publish() -> dict[str, Any]:
    """``ports``: see parse_ports() in _network/publish.py for the notation."""
    return {"ports": {"type": "list", "elements": "str"}}
