# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All options of bridge_network."""

from __future__ import annotations

from typing import Any

from .network import network


def bridge_network() -> dict[str, Any]:
    """As plugins/modules/bridge_network.py documents them."""
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "force": {"type": "bool", "default": False},
        **network(),
    }
