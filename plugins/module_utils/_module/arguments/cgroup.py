# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of cgroup_v2 and cgroup_v2_info."""

from __future__ import annotations

from typing import Any

from .boot import boot
from .limits import limits


def cgroup() -> dict[str, Any]:
    """One cgroup, as the module documents it."""
    return {
        "path": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        **limits(),
        **boot(),
        "pids": {"type": "list", "elements": "int"},
        "freeze": {"type": "bool"},
        "kill": {"type": "bool", "default": False},
        "recursive": {"type": "bool", "default": False},
    }


def cgroup_info() -> dict[str, Any]:
    """Which cgroups to read."""
    return {
        "paths": {"type": "list", "elements": "str", "default": [""]},
        "recursive": {"type": "bool", "default": False},
    }
