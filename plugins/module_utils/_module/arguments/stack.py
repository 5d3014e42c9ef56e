# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All options of stack, and whose options the entries of its lists are."""

from __future__ import annotations

from typing import Any

from .bridge_network import bridge_network
from .cgroup import cgroup
from .container import container
from .image_source import IMAGE_SOURCES
from .netns_veth import netns_veth
from .oci_image import oci_image
from .overlay import overlay

#: List -> the module whose options its entries are.
MODULES = {
    "images": "oci_image",
    "cgroups": "cgroup_v2",
    "overlays": "overlay_mount",
    "networks": "bridge_network",
    "links": "netns_veth",
    "containers": "ns_container",
}


def stack() -> dict[str, Any]:
    """As plugins/modules/stack.py documents them."""
    return {
        "name": {"type": "str", "default": "default"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        **{name: {"type": "list", "elements": "dict", "default": []} for name in MODULES},
        "compose": {"type": "raw"},
        "compose_profiles": {"type": "list", "elements": "str"},
        "compose_unsupported": {"type": "str", "choices": ["error", "warn"]},
        "compose_directory": {"type": "path"},
        "prune": {"type": "bool", "default": False},
        "only": {"type": "list", "elements": "str", "default": []},
    }


def entries() -> dict[str, dict[str, Any]]:
    """List -> what Ansible needs to judge one of its entries (ArgumentSpecValidator)."""
    return {
        "images": {"argument_spec": oci_image(), "mutually_exclusive": [IMAGE_SOURCES]},
        "cgroups": {"argument_spec": cgroup()},
        "overlays": {"argument_spec": overlay(), "required_if": [("state", "present", ("lowerdirs",))]},
        "networks": {"argument_spec": bridge_network()},
        "links": {"argument_spec": netns_veth()},
        "containers": {"argument_spec": {**container(), "depends_on": {"type": "raw"}}},
    }


def stack_internal() -> dict[str, Any]:
    """What the action plugin alone gives."""
    return {
        "progress_file": {"type": "str"},
        "handed_over": {"type": "dict"},
        # What a Compose file calls secrets and configs; path, content (Base64), mode, uid, gid.
        "files": {"type": "list", "elements": "dict", "no_log": True},
    }
