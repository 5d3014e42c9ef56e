# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network is, but for its name and state."""

from __future__ import annotations

from typing import Any

from .publish import publish


def network() -> dict[str, Any]:
    """Documented by the fragment barekernel.containers.network."""
    target = {
        "addresses": {"type": "list", "elements": "str", "required": True},
        "ports": {**publish()["ports"], "required": True},
    }
    return {
        "addresses": {"type": "list", "elements": "str"},
        "bridge": {"type": "str"},
        "isolate": {"type": "bool", "default": True},
        "mac": {"type": "str"},
        "mtu": {"type": "int", "default": 1500},
        "nat": {"type": "bool", "default": True},
        "published": {"type": "list", "elements": "dict", "options": target},
    }
