# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Option group ``limits``: limits of a cgroup in human units."""

from __future__ import annotations

from typing import Any


def limits() -> dict[str, Any]:
    """The same options as plugins/doc_fragments/limits.py documents."""
    device = {
        "device": {"type": "str", "required": True},
        "rbps": {"type": "str"},
        "wbps": {"type": "str"},
        "riops": {"type": "str"},
        "wiops": {"type": "str"},
        "weight": {"type": "int"},
    }
    options = {
        "memory": {"type": "str"},
        "memory_high": {"type": "str"},
        "memory_low": {"type": "str"},
        "memory_min": {"type": "str"},
        "swap": {"type": "str"},
        "oom_group": {"type": "bool"},
        "cpu": {"type": "str"},
        "cpu_weight": {"type": "int"},
        "cpuset": {"type": "str"},
        "cpuset_mems": {"type": "str"},
        "io": {"type": "list", "elements": "dict", "options": device},
        "io_weight": {"type": "int"},
        "pids": {"type": "str"},
        "hugetlb": {"type": "dict"},
        "raw": {"type": "dict"},
    }
    return {"limits": {"type": "dict", "options": options}}
