# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""oci_image's option ``config``: what is changed of an image's configuration. Raises OptionError; does no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._core.errors import OptionError
from .._core.texts import text, variables
from .._image.format.healthcheck import HEALTH_TIMES

_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")
_SIGNAL = re.compile(r"(SIG)?[A-Z][A-Z0-9+-]*|[1-9][0-9]?")
_DURATION = re.compile(r"(?:([0-9]{1,4})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?(?:([0-9]{1,12})ms)?")
_DURATION_UNITS = (3600 * 10**9, 60 * 10**9, 10**9, 10**6)


def overrides(group: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``config`` that were given. Raises OptionError."""
    given = {name: value for name, value in group.items() if value is not None}
    if "env" in given:
        given["env"] = variables("config.env", given["env"])
    if "labels" in given:
        given["labels"] = {name: text(f"config.labels.{name}", value) for name, value in given["labels"].items()}
    if given.get("workdir") and not given["workdir"].startswith("/"):
        raise OptionError("config.workdir", given["workdir"], "write an absolute path")
    for path in given.get("volumes", ()):
        if not path.startswith("/"):
            raise OptionError("config.volumes", path, "write an absolute path")
    if "exposed_ports" in given:
        given["exposed_ports"] = [_port(port) for port in given["exposed_ports"]]
    if given.get("stop_signal") and not _SIGNAL.fullmatch(given["stop_signal"]):
        raise OptionError("config.stop_signal", given["stop_signal"], "write a signal, such as SIGTERM")
    if "healthcheck" in given:
        given["healthcheck"] = _healthcheck(given["healthcheck"])
    return given


def _healthcheck(group: Mapping[str, Any]) -> dict[str, Any]:
    """As configurations have it. Raises OptionError."""
    kind, *words = group.get("test") or [""]
    fits = {"NONE": not words, "CMD": bool(words), "CMD-SHELL": len(words) == 1}
    if not fits.get(kind):
        raise OptionError(
            "config.healthcheck.test",
            group.get("test"),
            "write [CMD, PROGRAM, ARGUMENT...], [CMD-SHELL, LINE] or [NONE]",
        )
    check: dict[str, Any] = {"Test": list(group["test"])}
    for option, key in HEALTH_TIMES.items():
        if group.get(option) is not None:
            check[key] = _nanoseconds(f"config.healthcheck.{option}", group[option])
    if group.get("retries") is not None:
        if group["retries"] < 1:
            raise OptionError("config.healthcheck.retries", group["retries"], "write a positive number")
        check["Retries"] = group["retries"]
    return check


def _nanoseconds(option: str, value: str) -> int:
    match = _DURATION.fullmatch(value.strip())
    total = sum(int(number or 0) * unit for number, unit in zip(match.groups(), _DURATION_UNITS)) if match else 0
    # Docker takes no check seriously that lasts less.
    if total < 1_000_000:
        raise OptionError(option, value, "write a time such as 30s, 1m30s, 1h or 500ms")
    return total


def _port(value: str) -> str:
    match = _PORT.fullmatch(str(value))
    if not match or not all(0 < int(number) < 65536 for number in match.group(1, 2) if number):
        raise OptionError("config.exposed_ports", value, "write a port and a protocol, such as 80/tcp")
    return value if match[3] else f"{value}/tcp"
