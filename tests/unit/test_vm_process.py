# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A recorded pid is only ended while it still is the QEMU that was started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.tests.vm import process

pytestmark = pytest.mark.once

ARGV = ("qemu-system-x86_64", "-name", "alpha", "-qmp", "unix:qmp.sock")
CMDLINE = b"qemu-system-x86_64\0-name\0alpha\0-qmp\0unix:qmp.sock\0"


def stat(started: int, command: bytes = b"qemu-system-x86") -> bytes:
    fields = [b"S", *(str(n).encode() for n in range(4, 22)), str(started).encode(), b"0"]
    return b"4711 (" + command + b") " + b" ".join(fields)


@pytest.mark.parametrize("command", [b"qemu-system-x86", b"a b", b"x) S 1 (y", b""])
def test_the_start_time_is_found_whatever_the_command_is_called(command: bytes) -> None:
    assert process.start_time(stat(123456, command)) == 123456


@pytest.mark.parametrize(
    ("raw", "cmdline", "argv", "ours"),
    [
        (stat(77), CMDLINE, ARGV, True),
        (stat(78), CMDLINE, ARGV, False),
        (stat(77), CMDLINE.replace(b"alpha", b"beta"), ARGV, False),
        (stat(77), CMDLINE + b"-S\0", ARGV, False),
        (stat(77), b"", ARGV, False),
        (b"", b"", ARGV, False),
        (stat(77), b"sleep\0100\0", ("sleep", "100"), False),
    ],
    ids=["ours", "pid reused", "another machine", "other options", "a zombie", "gone", "not QEMU"],
)
def test_is_ours(raw: bytes, cmdline: bytes, argv: tuple[str, ...], ours: bool) -> None:
    assert process.is_ours(raw, cmdline, 77, argv) is ours


@pytest.fixture(name="child")
def running_child():
    """A process that calls itself qemu-system-test."""
    argv = ["qemu-system-test", "-c", "import time; print(flush=True); time.sleep(600)"]
    child = subprocess.Popen(argv, executable=sys.executable, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    yield child, process.started_at(child.pid), argv
    child.kill()
    child.wait()
    child.stdout.close()


def test_ours_is_ended(child) -> None:
    running, started, argv = child
    assert process.alive(running.pid, started, argv)
    assert process.end(running.pid, started, argv)
    assert running.wait() != 0
    assert not process.end(running.pid, started, argv)


def test_one_that_was_just_started_is_known_at_once() -> None:
    argv = ["qemu-system-test", "600"]
    for _start in range(20):
        running = subprocess.Popen(argv, executable="/bin/sleep")
        process.until_it_is(running, argv)
        assert process.end(running.pid, process.started_at(running.pid), argv)
        running.wait()


def test_one_that_cannot_start_is_not_waited_for() -> None:
    ended = subprocess.Popen(["qemu-system-test", "nonsense"], executable="/bin/sleep", stderr=subprocess.DEVNULL)
    process.until_it_is(ended, ["qemu-system-test"])
    assert ended.wait() != 0


def test_a_stranger_with_the_recorded_pid_is_left_alone(child) -> None:
    running, started, argv = child
    assert not process.end(running.pid, started - 1, argv)
    assert not process.end(running.pid, started, [*argv, "-S"])
    assert running.poll() is None
    assert process.who(running.pid).startswith("qemu-system-test -c")


def test_a_qemu_that_nobody_recorded_is_found_by_its_directory(tmp_path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    argv = ["qemu-system-test", "-c", "import time; print(flush=True); time.sleep(600)"]
    children = []
    for place in (ours, other):
        place.mkdir()
        child = subprocess.Popen(argv, executable=sys.executable, stdout=subprocess.PIPE, cwd=place)
        assert child.stdout is not None
        child.stdout.readline()
        children.append(child)
    try:
        assert process.end_all_in(str(ours)) == 1
        assert children[0].wait() != 0
        assert children[1].poll() is None
        assert process.end_all_in(str(ours)) == 0
    finally:
        for child in children:
            child.kill()
            child.wait()
            child.stdout.close()


def test_the_status_of_what_is_run(tmp_path: Path) -> None:
    assert process.Group(["sh", "-c", "exit 7"], str(tmp_path), {"PATH": "/usr/bin:/bin"}).wait() == 7
