# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd as seen from outside: is it there, what a unit is doing, and the few requests we make of it.

systemctl show prints properties one a line as NAME=VALUE, which is its documented interface for programs.
"""

from __future__ import annotations

import errno
import json
import os
from typing import Any

from . import spawn
from .errors import KernelError


def running() -> bool:
    """Whether systemd is this host's service manager, sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def properties(unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit, e.g. ActiveState, MainPID. Raises KernelError."""
    output = _systemctl("show", "--property=" + ",".join(names), "--", unit)
    return dict(line.split("=", 1) for line in output.split("\n") if "=" in line)


def starts_at_boot(unit: str) -> bool:
    """Whether the unit is enabled for multi-user.target: systemctl enable makes exactly this link."""
    return os.path.islink(f"/etc/systemd/system/multi-user.target.wants/{unit}")


def version() -> int:
    """systemd's major version. Raises KernelError."""
    shown = _systemctl("show", "--property=Version", "--value").strip()
    return int(shown.partition(".")[0].partition("-")[0] or 0)


def journal(unit: str, count: int, since: int = 0) -> list[str]:
    """The last messages that the unit's processes wrote, oldest first (journalctl(1), --output=json).

    What systemd itself says of the unit is left out, and what is older than ``since`` (microseconds since the epoch).
    Raises KernelError.
    """
    # Without --all a message of 4096 bytes or more is null.
    command = ["journalctl", "--no-pager", "--quiet", "--output=json", "--output-fields=MESSAGE", "--all"]
    command += [f"--lines={count}", f"_SYSTEMD_UNIT={unit}"]
    try:
        done = spawn.run(command, capture_output=True)
    except OSError as error:
        raise KernelError.wrap(error, "journalctl", unit) from error
    # Bytes: for str.splitlines() a line ends at U+2028 too, which journalctl prints as it is.
    entries = [json.loads(line) for line in done.stdout.split(b"\n") if line]
    return [_message(entry) for entry in entries if int(entry.get("__REALTIME_TIMESTAMP") or since) >= since]


def _message(entry: dict[str, Any]) -> str:
    """MESSAGE, which is a list of byte values where it is not UTF-8, and a list of values where it was given twice."""
    text = entry.get("MESSAGE")
    if isinstance(text, list) and not all(isinstance(value, int) for value in text):
        return "\n".join(_message({"MESSAGE": value}) for value in text)
    return bytes(text).decode("utf-8", "surrogateescape") if isinstance(text, list) else str(text or "")


def daemon_reload() -> None:
    """Make systemd read unit files again. Raises KernelError."""
    _systemctl("daemon-reload")


def enable(unit: str) -> None:
    """Start the unit at boot; systemd knows it from the next daemon_reload on. Raises KernelError."""
    _systemctl("enable", "--quiet", "--no-reload", "--", unit)


def disable(unit: str) -> None:
    """Do not start the unit at boot, and stop it, as what boot started stays active; systemd knows the former from the
    next daemon_reload on. Raises KernelError."""
    _systemctl("disable", "--quiet", "--no-reload", "--now", "--", unit)


def start(unit: str) -> None:
    """Start and wait until the unit is up or failed. Raises KernelError with what systemd says of the failure."""
    _systemctl("reset-failed", "--", unit, check=False)
    _systemctl("start", "--", unit)


def stop(unit: str) -> None:
    """Stop and wait until nothing of the unit runs. A unit that does not exist is stopped. Raises KernelError."""
    if properties(unit, "LoadState").get("LoadState") != "not-found":
        _systemctl("stop", "--", unit)
        _systemctl("reset-failed", "--", unit, check=False)


def _systemctl(*arguments: str, check: bool = True) -> str:
    try:
        done = spawn.run(["systemctl", "--no-pager", *arguments], capture_output=True, text=True)
    except OSError as error:
        raise KernelError.wrap(error, "systemctl", arguments[0]) from error
    if check and done.returncode != 0:
        words = " ".join(done.stderr.split())
        hint = f"Ask `journalctl -xeu {arguments[-1]}`" if arguments[0] in ("start", "stop") else ""
        refusal = KernelError(errno.EIO, "systemctl " + arguments[0], arguments[-1], hint)
        refusal.detail = words
        raise refusal
    return str(done.stdout)
