# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SSH to a guest, and when it answers."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable

from . import store
from .errors import VmError


def options(known_hosts: str, host_key_alias: str) -> list[str]:
    """ssh's options for a guest: our key only, the guest's known key only, nothing from the user's configuration."""
    settings = {
        "IdentityFile": store.login_key(),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": known_hosts,
        "HostKeyAlias": host_key_alias,
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": "60",
        "ServerAliveInterval": "30",
        "ServerAliveCountMax": "10",
        "LogLevel": "ERROR",
    }
    words = ["-F", "/dev/null"]
    for name, value in settings.items():
        words += ["-o", f"{name}={value}"]
    return words


def _banner(port: int, patience: float) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
            connection.settimeout(patience)
            return connection.recv(8).startswith(b"SSH-")
    except OSError:
        return False


def wait(port: int, limit: float, still_runs: Callable[[], bool]) -> bool:
    """Until a server greets on 127.0.0.1:port. False when the limit (seconds) passed or the machine ended."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        if _banner(port, 5.0):
            return True
        if not still_runs():
            return False
        time.sleep(0.3)
    return False


def run(port: int, ssh_options: list[str], script: str, timeout: float = 120.0) -> str:
    """Run a shell script as root in the guest; its standard output. Raises VmError with what it said."""
    command = ["ssh", *ssh_options, "-p", str(port), "root@127.0.0.1", "sh -eu"]
    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise VmError(f"a command in the guest took more than {timeout:.0f} s") from error
    if done.returncode != 0:
        raise VmError(f"a command in the guest failed ({done.returncode}): {_words(done.stderr)}")
    return done.stdout


def _words(stderr: str | None) -> str:
    return " / ".join((stderr or "").strip().splitlines()[-3:]) or "no words"
