# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to reach a registry, as options."""

from __future__ import annotations

from typing import Any


def registry_access() -> dict[str, Any]:
    """What skopeo(1) needs to know."""
    return {
        "auth_file": {"type": "path"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "tls_verify": {"type": "bool", "default": True},
        "cert_dir": {"type": "path"},
        "retries": {"type": "int", "default": 2},
        "signature_policy": {"type": "path"},
    }
