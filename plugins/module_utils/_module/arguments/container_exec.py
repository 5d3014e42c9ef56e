# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option group ``container_exec``: a command in a running container."""

from __future__ import annotations

from typing import Any


def container_exec() -> dict[str, dict[str, Any]]:
    """The argument spec of ns_container_exec."""
    return {
        "name": {"type": "str", "required": True},
        "argv": {"type": "list", "elements": "str"},
        "cmd": {"type": "str"},
        "stdin": {"type": "str", "no_log": True},
        "stdin_add_newline": {"type": "bool", "default": True},
        "strip_empty_ends": {"type": "bool", "default": True},
        "env": {"type": "dict", "no_log": True},
        "cwd": {"type": "str", "aliases": ["chdir"]},
        "user": {"type": "str"},
        "creates": {"type": "str"},
        "removes": {"type": "str"},
        "timeout": {"type": "float"},
    }
