# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All options of netns_veth."""

from __future__ import annotations

from typing import Any

from .boot import boot
from .veth import veth


def netns_veth() -> dict[str, Any]:
    """As plugins/modules/netns_veth.py documents them."""
    return {
        **veth(),
        **boot(),
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "remove_namespaces": {"type": "str", "choices": ["unused", "always", "never"], "default": "unused"},
    }
