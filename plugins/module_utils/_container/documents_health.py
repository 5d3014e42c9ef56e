# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health check of an image: its command, and its times in seconds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._image.format.healthcheck import HEALTH_TIMES

_SECOND = 1_000_000_000
_TIMEOUT = 30.0


def check_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """``argv`` and what the image says of times and retries; None where it has no check, or says NONE."""
    declared = config.get("Healthcheck") or {}
    kind, *words = declared.get("Test") or ["NONE"]
    if kind == "NONE" or not words:
        return None
    times = {option: declared[key] / _SECOND for option, key in HEALTH_TIMES.items() if declared.get(key)}
    retries = {"retries": declared["Retries"]} if declared.get("Retries") else {}
    argv = ["/bin/sh", "-c", " ".join(words)] if kind == "CMD-SHELL" else words
    return {"argv": argv, "timeout": _TIMEOUT, **times, **retries}
