# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option group ``container``: everything ns_container knows about one container."""

from __future__ import annotations

from typing import Any

from ..._container.records import NAMESPACES, OPTIONS
from .limits import limits
from .publish import publish


def container() -> dict[str, dict[str, Any]]:
    """The argument spec of doc fragment ``container``: each option as the record declares it."""
    inside = {"networks": _network(), "mounts": _mount(), "namespaces": _namespaces(), **_limits()}
    return {
        name: {**each.argument, **({"options": inside[name]} if name in inside else {})}
        for name, each in OPTIONS.items()
    }


def _limits() -> dict[str, Any]:
    return {name: each["options"] for name, each in limits().items()}


def _network() -> dict[str, dict[str, Any]]:
    return {
        "name": {"type": "str", "required": True},
        "interface": {"type": "str"},
        "addresses": {"type": "list", "elements": "str"},
        "mac": {"type": "str"},
        "aliases": {"type": "list", "elements": "str"},
        **publish(),
    }


def _mount() -> dict[str, dict[str, Any]]:
    return {
        "type": {"type": "str", "choices": ["bind", "tmpfs", "volume"], "default": "bind"},
        "source": {"type": "str"},
        "target": {"type": "str", "required": True},
        "read_only": {"type": "bool", "default": False},
        "propagation": {"type": "str", "choices": ["private", "rprivate", "slave", "rslave"]},
        "options": {"type": "list", "elements": "str"},
    }


def _namespaces() -> dict[str, dict[str, Any]]:
    return {name: {"type": "str"} for name in NAMESPACES}
