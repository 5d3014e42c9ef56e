# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an image comes from, as options."""

from __future__ import annotations

from typing import Any

from .registry_access import registry_access

_OWNED = {"uid": {"type": "int", "default": 0}, "gid": {"type": "int", "default": 0}}


def image_source() -> dict[str, Any]:
    """At most one of the groups may be given: see IMAGE_SOURCES."""
    return {
        "registry": {
            "type": "dict",
            "options": {"reference": {"type": "str"}, "platform": {"type": "str"}, **registry_access()},
        },
        "archive": {
            "type": "dict",
            "options": {
                "path": {"type": "path", "required": True},
                "format": {
                    "type": "str",
                    "choices": ["auto", "oci", "oci-archive", "docker-archive", "dir"],
                    "default": "auto",
                },
                "reference": {"type": "str"},
                "signature_policy": {"type": "path"},
                "remote_src": {"type": "bool", "default": True},
            },
        },
        "image": {"type": "str"},
        "container": {"type": "str"},
        "directory": {
            "type": "dict",
            "options": {
                "path": {"type": "path", "required": True},
                "exclude": {"type": "list", "elements": "str"},
                "one_file_system": {"type": "bool", "default": True},
            },
        },
        "rootfs": {
            "type": "dict",
            "options": {
                "path": {"type": "path", "required": True},
                "remote_src": {"type": "bool", "default": True},
            },
        },
        "debootstrap": {"type": "dict", "options": _debootstrap()},
        "build": {"type": "dict", "options": _build()},
        "pull": {"type": "str", "choices": ["missing", "newer", "always", "never"], "default": "missing"},
        "rebuild": {"type": "str", "choices": ["changed", "always", "never"], "default": "changed"},
        "policy": {"type": "dict", "options": _policy()},
        "seed": {"type": "str"},
    }


def image_internal() -> dict[str, Any]:
    """What the action plugin alone gives: the file in which a long task says what it is doing, what the controller has
    brought this host of the source, and what this host is to hand out of the image to another one."""
    return {
        "progress_file": {"type": "path"},
        "handed_over": {"type": "dict"},  # by image; _images/options.py
        "hand_out": {
            "type": "dict",
            "options": {"blobs": {"type": "list", "elements": "str"}, "path": {"type": "path"}},
            "required_by": {"blobs": ["path"]},
        },
    }


#: The options of which one is the source.
IMAGE_SOURCES = ("registry", "archive", "image", "container", "directory", "rootfs", "debootstrap", "build")


def _debootstrap() -> dict[str, Any]:
    return {
        "suite": {"type": "str", "required": True},
        "mirror": {"type": "str"},
        "variant": {"type": "str", "default": "minbase"},
        "packages": {"type": "list", "elements": "str"},
        "components": {"type": "list", "elements": "str"},
        "keyring": {"type": "path"},
        "architecture": {"type": "str"},
        "tool": {"type": "str", "choices": ["auto", "mmdebstrap", "debootstrap"], "default": "auto"},
    }


def _build() -> dict[str, Any]:
    directory = {"path": {"type": "str", "required": True}, "mode": {"type": "raw", "default": "0755"}, **_OWNED}
    copied = {
        "src": {"type": "path", "required": True},
        "dest": {"type": "str", "required": True},
        "mode": {"type": "raw"},
        **_OWNED,
    }
    link = {"path": {"type": "str", "required": True}, "target": {"type": "str", "required": True}}
    return {
        "base": {"type": "str"},
        "directories": {"type": "list", "elements": "dict", "options": directory},
        "copy": {"type": "list", "elements": "dict", "options": copied},
        "links": {"type": "list", "elements": "dict", "options": link},
        "run": {"type": "list", "elements": "str"},
        "network": {"type": "str", "choices": ["none", "host"], "default": "none"},
    }


def _policy() -> dict[str, Any]:
    allowed = {"type": "str", "choices": ["allow", "refuse"], "default": "allow"}
    return {
        "devices": dict(allowed),
        "setuid": dict(allowed),
        "max_size": {"type": "str", "default": "64G"},
        "max_entries": {"type": "int", "default": 4000000},
    }
