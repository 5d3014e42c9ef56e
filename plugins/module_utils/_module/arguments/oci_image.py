# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All options of oci_image."""

from __future__ import annotations

from typing import Any

from .image_config import image_config
from .image_source import image_source


def oci_image() -> dict[str, Any]:
    """As plugins/modules/oci_image.py documents them."""
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "force": {"type": "bool", "default": False},
        "verify": {"type": "bool", "default": False},
        **image_source(),
        **image_config(),
    }
