# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A veth pair's ends, and the named network namespaces beside them."""

from __future__ import annotations

from typing import Any


def veth() -> dict[str, Any]:
    """``namespaces``, ``ends`` and ``exclusive``, as _links/options.py reads them."""
    return {
        "namespaces": {
            "type": "list",
            "elements": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "owner": {
                    "type": "dict",
                    "options": {
                        "host_id": {"type": "int", "required": True},
                        "size": {"type": "int", "default": 65536},
                    },
                },
                "sysctls": {"type": "dict"},
            },
        },
        "ends": {"type": "list", "elements": "dict", "options": _end()},
        "exclusive": {"type": "bool", "default": True},
    }


def _end() -> dict[str, Any]:
    route = {
        "to": {"type": "str", "required": True},
        "via": {"type": "str"},
        "metric": {"type": "int"},
        "source": {"type": "str"},
        "table": {"type": "int", "default": 254},
        "onlink": {"type": "bool", "default": False},
    }
    return {
        "interface": {"type": "str", "required": True},
        "netns": {"type": "str"},
        "path": {"type": "path"},
        "pid": {"type": "int"},
        "pid_start_time": {"type": "int"},
        "container": {"type": "str"},
        "mac": {"type": "str"},
        "mtu": {"type": "int"},
        "up": {"type": "bool", "default": True},
        "bridge": {"type": "str"},
        "hairpin": {"type": "bool"},
        "isolated": {"type": "bool"},
        "addresses": {"type": "list", "elements": "str"},
        "dad": {"type": "str", "choices": ["skip", "wait"], "default": "skip"},
        "routes": {"type": "list", "elements": "dict", "options": route},
        "sysctls": {"type": "dict"},
        "impairment": {"type": "dict", "options": impairment()},
    }


def impairment() -> dict[str, Any]:
    """What a link does to packets, as _links/qdisc.py reads it."""
    words = ("delay", "jitter", "delay_correlation", "loss", "loss_correlation", "duplicate", "corrupt")
    numbers = {"burst": {"type": "int"}, "limit": {"type": "int"}}
    return {**{name: {"type": "str"} for name in (*words, "reorder", "reorder_correlation", "rate")}, **numbers}
