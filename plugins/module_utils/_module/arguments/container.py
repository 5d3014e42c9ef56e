# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option group ``container``: everything ns_container knows about one container."""

from __future__ import annotations

from typing import Any

from .limits import limits
from .publish import publish


def container() -> dict[str, dict[str, Any]]:
    """The argument spec of doc fragment ``container``."""
    return {
        "name": {"type": "str", "required": True},
        "state": {
            "type": "str",
            "choices": ["present", "started", "stopped", "restarted", "absent"],
            "default": "started",
        },
        "image": {"type": "str"},
        "networks": {"type": "list", "elements": "dict", "options": _network()},
        "mounts": {"type": "list", "elements": "dict", "options": _mount()},
        "namespaces": {"type": "dict", "options": _namespaces()},
        **_process(),
        **_resources(),
        **_identity(),
        **_life(),
    }


def _process() -> dict[str, dict[str, Any]]:
    return {
        "command": {"type": "list", "elements": "str"},
        "args": {"type": "list", "elements": "str"},
        "env": {"type": "dict", "no_log": True},
        "cwd": {"type": "str"},
        "user": {"type": "str"},
        "init": {"type": "str", "default": "none"},
        "cap_add": {"type": "list", "elements": "str"},
        "cap_drop": {"type": "list", "elements": "str"},
        "seccomp": {"type": "str", "choices": ["default", "unconfined"], "default": "default"},
        "read_only": {"type": "bool", "default": False},
    }


def _resources() -> dict[str, dict[str, Any]]:
    return {
        **limits(),
        "limits_required": {"type": "bool", "default": False},
        "rlimits": {"type": "dict"},
        "sysctls": {"type": "dict"},
    }


def _identity() -> dict[str, dict[str, Any]]:
    return {
        "hostname": {"type": "str"},
        "dns": {"type": "list", "elements": "str"},
        "dns_search": {"type": "list", "elements": "str"},
        "dns_options": {"type": "list", "elements": "str"},
        "extra_hosts": {"type": "dict"},
        "labels": {"type": "dict"},
    }


def _life() -> dict[str, dict[str, Any]]:
    return {
        "stop_signal": {"type": "str"},
        "stop_timeout": {"type": "int", "default": 10},
        "restart_policy": {"type": "str", "default": "no"},
        "log_max_size": {"type": "str", "default": "10M"},
        "log_max_files": {"type": "int", "default": 3},
        "runtime": {"type": "str", "default": "nsrun"},
        "purge_volumes": {"type": "bool", "default": False},
    }


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
    return {name: {"type": "str"} for name in ("user", "network", "pid", "ipc", "uts", "cgroup")}
