# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command in a container that takes too long, and a runtime that is slow to say which process it is."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import process
from ansible_collections.barekernel.containers.plugins.module_utils._runtime import control
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import RuntimeFailure

#: Its arguments are --pid-file PATH NAME. {seen}: what it started, for the test.
SLOW_RUNTIME = """
setsid sleep 1000 &
echo $! >{seen}
sleep 0.5
echo $! >"$2.new" && mv "$2.new" "$2"
wait
"""


def test_it_is_killed_although_its_pid_comes_late(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command = ["sh", "-c", SLOW_RUNTIME.format(seen=seen), "runtime"]
    with pytest.raises(RuntimeFailure, match=r"did not end within 0\.2 seconds and was killed"):
        control._within(0.2, command, "web", b"", ())
    pid = int(seen.read_text())
    if process.alive(pid):
        os.kill(pid, signal.SIGKILL)
        pytest.fail("it runs on")


def test_a_runtime_that_starts_nothing_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.1)
    with pytest.raises(RuntimeFailure, match="was killed"):
        control._within(0.1, ["sh", "-c", "exec sleep 1000"], "web", b"", ())
