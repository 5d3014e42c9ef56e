# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of overlay_mount."""

from __future__ import annotations

from typing import Any


def overlay() -> dict[str, Any]:
    """Each is documented in doc_fragments/overlay.py."""
    on_off = {name: {"type": "bool"} for name in ("metacopy", "index", "volatile", "userxattr", "nfs_export")}
    switches = ("cover", "lazy", "purge", "systemd", "volatile_recover")
    return {
        "path": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        # Type str and not path: that would expand ~ and $, which a path may hold.
        "lowerdirs": {"type": "list", "elements": "str"},
        "upperdir": {"type": "str"},
        "workdir": {"type": "str"},
        "idmap": {
            "type": "dict",
            "options": {
                "host_id": {"type": "int", "required": True},
                "size": {"type": "int", "default": 65536},
            },
        },
        **on_off,
        "redirect_dir": {"type": "str", "choices": ["on", "follow", "nofollow", "off"]},
        "xino": {"type": "str", "choices": ["on", "auto", "off"]},
        "flags": {"type": "list", "elements": "str", "choices": ["ro", "nosuid", "nodev", "noexec", "noatime"]},
        "propagation": {"type": "str", "choices": ["private", "shared", "slave", "unbindable"]},
        "create": {"type": "bool", "default": True},
        "owner": {"type": "str", "default": "0"},
        "group": {"type": "str", "default": "0"},
        "mode": {"type": "raw", "default": "0755"},
        **{name: {"type": "bool", "default": False} for name in switches},
    }
