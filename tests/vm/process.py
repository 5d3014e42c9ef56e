# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a recorded process still is the one that was started: a pid alone may be anyone's by now."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

from .errors import VmError

#: Seconds that a program has to end what it started.
_GRACE = 10.0


def start_time(stat: bytes) -> int:
    """Field 22 of /proc/PID/stat (proc_pid_stat(5)): clock ticks after boot. The command name may hold anything."""
    return int(stat.rpartition(b")")[2].split()[19])


def is_ours(stat: bytes, cmdline: bytes, started: int, argv: Sequence[str]) -> bool:
    """True if /proc's account of a pid is the QEMU that was started then, with exactly this command line."""
    if not os.path.basename(argv[0]).startswith("qemu-system-"):
        return False
    try:
        same_start = start_time(stat) == started
    except (ValueError, IndexError):
        return False
    return same_start and cmdline == _cmdline(argv)


def _cmdline(argv: Sequence[str]) -> bytes:
    """As /proc shows it."""
    return b"".join(os.fsencode(word) + b"\0" for word in argv)


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as stream:
            return stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def started_at(pid: int) -> int:
    """Start time of a live process. Raises VmError when it is gone."""
    stat = _read(pid, "stat")
    if not stat:
        raise VmError(f"process {pid} ended right after it was started")
    return start_time(stat)


def alive(pid: int, started: int, argv: Sequence[str]) -> bool:
    """True if ``pid`` is the recorded QEMU and runs (a zombie does not: its command line is empty)."""
    return is_ours(_read(pid, "stat"), _read(pid, "cmdline"), started, argv)


def until_it_is(child: subprocess.Popen[bytes], argv: Sequence[str]) -> None:
    """Until a program that Popen has just started shows its command line, or has ended.

    execve(2) closes the pipe on which Popen waits (begin_new_exec, fs/exec.c) a moment before it sets that, and
    without it nobody would know the process as ours.
    """
    while child.poll() is None and _read(child.pid, "cmdline") != _cmdline(argv):
        time.sleep(0.005)


def who(pid: int) -> str:
    """The command line of whatever has this pid now, for a message; empty when nothing has."""
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()[:200]


def end_all_in(directory: str) -> int:
    """End every QEMU that works in ``directory``, which must be ours alone. Returns how many there were.

    For those that nobody could write down: their starter was killed in the moment between.
    """
    ended = 0
    wanted = os.path.realpath(directory)
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        pid = int(name)
        try:
            if os.readlink(f"/proc/{pid}/cwd") != wanted:
                continue
            started = start_time(_read(pid, "stat"))
        except (OSError, IndexError):
            continue
        argv = [os.fsdecode(word) for word in _read(pid, "cmdline").split(b"\0")[:-1]]
        ended += bool(argv) and end(pid, started, argv)
    return ended


def end(pid: int, started: int, argv: Sequence[str]) -> bool:
    """End the recorded QEMU and only that: SIGTERM, then SIGKILL. Returns False when it was not there any more.

    The pidfd is opened before the check, so the process that was checked is the one that gets the signal.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not alive(pid, started, argv):
            return False
        # A busy machine needs its time to free a guest's memory.
        for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 60.0)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], patience)[0]:
                return True
        raise VmError(f"QEMU (pid {pid}) does not end, not even by SIGKILL: it hangs in the kernel")
    finally:
        os.close(handle)


class Group:
    """A program and what it starts, as one process group, which can be ended as a whole."""

    def __init__(
        self, command: Sequence[str], cwd: str, environment: Mapping[str, str], output: IO[bytes] | None = None
    ) -> None:
        """Start it, with its output in a file or, without one, where this process has its own. Raises OSError."""
        self._program = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
        )

    def wait(self) -> int:
        """Until the program ends; its exit status."""
        return self._program.wait()

    def end(self) -> None:
        """SIGTERM, and SIGKILL for what is left once the program itself has ended or had its time.

        Where the program has ended by itself nothing is done: its number may be someone else's by now.
        """
        if self._program.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._program.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._program.wait(_GRACE)
