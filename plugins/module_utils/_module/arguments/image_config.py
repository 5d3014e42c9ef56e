# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image's configuration, as options."""

from __future__ import annotations

from typing import Any


def image_config() -> dict[str, Any]:
    """``config``: what is not given stays as the source has it."""
    words = {"type": "list", "elements": "str"}
    options = {
        "cmd": dict(words),
        "entrypoint": dict(words),
        "env": {"type": "dict"},
        "workdir": {"type": "str"},
        "user": {"type": "str"},
        "exposed_ports": dict(words),
        "volumes": dict(words),
        "labels": {"type": "dict"},
        "stop_signal": {"type": "str"},
        "healthcheck": {
            "type": "dict",
            "options": {
                "test": {"type": "list", "elements": "str", "required": True},
                "interval": {"type": "str"},
                "timeout": {"type": "str"},
                "start_period": {"type": "str"},
                "start_interval": {"type": "str"},
                "retries": {"type": "int"},
            },
        },
    }
    return {"config": {"type": "dict", "options": options}}
