# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command in a container that takes too long, and a runtime that is slow to say which process it is."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import process
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import RuntimeFailure
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import bounded, exchange
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import control

from tests import waiting

#: Its arguments are --pid-file PATH NAME. {seen}: what it started, for the test.
SLOW_RUNTIME = """
setsid sleep 1000 &
echo $! >{seen}
sleep 0.5
echo $! >"$2.new" && mv "$2.new" "$2"
wait
"""

FOR_EVER = "while :; do echo y; done"


def test_it_is_killed_although_its_pid_comes_late(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command = ["sh", "-c", SLOW_RUNTIME.format(seen=seen), "runtime"]
    with pytest.raises(RuntimeFailure, match=r"did not end within 0\.2 seconds and was killed"):
        control._within(0.2, command, "web", b"", ())
    pid = int(seen.read_text())
    if process.stat_fields(pid):
        os.kill(pid, signal.SIGKILL)
        pytest.fail("it runs on")


def test_much_goes_in_and_comes_out() -> None:
    sent = bytes(range(256)) * 20000
    done = control._within(60, ["sh", "-c", "cat; printf end >&2; exit 3", "runtime"], "web", sent, (), 2**30)
    assert (done.stdout_omitted, done.stderr_omitted) == (0, 0)
    assert (done.rc, done.stdout, done.stderr) == (3, sent, b"end")


def test_of_much_the_beginning_and_the_end_are_kept() -> None:
    """In no more memory than that takes: a command may write without end."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    many = "echo first; head -c 200000000 /dev/zero; echo last; echo few >&2"
    done = control._within(60, ["sh", "-c", many, "runtime"], "web", b"", (), 1000)
    assert (done.stdout[:6], done.stdout[-5:]) == (b"first\n", b"last\n")
    assert done.stdout_omitted == 200000000 + 11 - 1000
    assert b"\0\n[199999011 bytes left out]\n\0" in done.stdout and len(done.stdout) < 1100
    assert (done.stderr, done.stderr_omitted) == (b"few\n", 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20000  # KiB


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 25, 100])
@pytest.mark.parametrize("step", [1, 3, 100])
def test_what_fits_is_whole_however_it_comes(size: int, step: int) -> None:
    data = bytes(range(size))
    taken = bounded.Bounded(10)
    for begin in range(0, size, step):
        taken.feed(data[begin : begin + step])
    left_out = b"\n[%d bytes left out]\n" % (size - 10)
    assert bytes(taken) == (data if size <= 10 else data[:5] + left_out + data[-5:])
    assert bytes(taken) == bytes(taken) and taken.omitted == max(0, size - 10)


def test_input_that_nobody_reads_is_no_failure() -> None:
    done = control._within(60, ["sh", "-c", "exec <&-; echo done", "runtime"], "web", bytes(1000000), ())
    assert (done.rc, done.stdout) == (0, b"done\n")


def test_who_writes_on_after_its_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "DRAIN", 0.2)
    command = ["sh", "-c", f"({FOR_EVER}) & echo done >&2", "runtime"]
    done = control._within(60, command, "web", b"", ())
    assert (done.rc, done.stderr) == (0, b"done\n")
    assert done.stdout.startswith(b"y\n")


def test_who_writes_on_and_on_is_ended_in_time() -> None:
    with pytest.raises(RuntimeFailure, match="was killed"):
        control._within(0.5, ["sh", "-c", f'({FOR_EVER}) & echo $! >"$2"; wait', "runtime"], "web", b"", ())


def test_a_pid_that_is_another_processes_by_now_is_left_alone(tmp_path: Path) -> None:
    """The runtime has reaped its command when the time is over, and its PID was used again."""
    with waiting.process("sleep", "1000") as other:
        script = f'echo {other.pid} >"$2"; exec sleep 1000'
        with pytest.raises(RuntimeFailure, match="was killed"):
            control._within(0.5, ["sh", "-c", script, "runtime"], "web", b"", ())
        assert other.poll() is None and process.stat_fields(other.pid)[0] == "S"


def test_a_runtime_that_starts_nothing_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.1)
    with pytest.raises(RuntimeFailure, match="was killed"):
        control._within(0.1, ["sh", "-c", "exec sleep 1000"], "web", b"", ())
