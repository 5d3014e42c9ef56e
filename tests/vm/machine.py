# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One QEMU process: started, waited for, described when it fails."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from collections.abc import Callable

from . import command_line, ports, process, qmp, ssh
from .command_line import Machine
from .errors import VmError

#: Seconds until a guest answers: 15-20 alone under emulation, minutes on a machine busy with other work.
BOOT_LIMIT = 300.0


@dataclasses.dataclass(frozen=True)
class Running:
    """A QEMU that was started: enough to find out later whether it still is the same process."""

    pid: int
    started: int
    argv: tuple[str, ...]

    def alive(self) -> bool:
        return process.alive(self.pid, self.started, self.argv)

    def end(self) -> bool:
        return process.end(self.pid, self.started, self.argv)


#: What a machine is, given its SSH port.
Described = Callable[[int], Machine]


def launch(directory: str, machine: Described, started: Callable[[Running, Machine], None]) -> Running:
    """Start QEMU in ``directory`` on a free port; ``machine`` says what it is for a port, ``started`` is told at once.

    Another port is picked when the first one was taken between the pick and the start. Raises VmError with QEMU's
    words when it does not start; it has ended then.
    """
    words = ""
    for _ in range(5):
        chosen = machine(ports.free_port())
        running, child = _start(directory, chosen)
        started(running, chosen)
        words = _until_it_listens(directory, child)
        if not words:
            return running
        running.end()
        child.wait()
        if not ports.was_taken(words):
            break
    raise VmError(f"{machine(0).name}: QEMU did not start: {words}")


def _start(directory: str, machine: Machine) -> tuple[Running, subprocess.Popen[bytes]]:
    argv = command_line.argv(machine)
    with open(os.path.join(directory, "qemu.log"), "wb") as log:
        child = subprocess.Popen(
            argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    process.until_it_is(child, argv)
    return Running(child.pid, process.started_at(child.pid), tuple(argv)), child


def _until_it_listens(directory: str, child: subprocess.Popen[bytes], limit: float = 60.0) -> str:
    """Empty when the control socket answers, else what QEMU said."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        if child.poll() is not None:
            return tail(os.path.join(directory, "qemu.log"), 5, " / ") or f"ended with status {child.returncode}"
        try:
            with qmp.connect(directory):
                return ""
        except (VmError, OSError):
            time.sleep(0.05)
    return f"its control socket did not answer within {limit:.0f} s"


def wait_for_login(directory: str, running: Running, machine: Machine, limit: float = BOOT_LIMIT) -> None:
    """Until SSH answers. Raises VmError with the end of the serial log."""
    if ssh.wait(machine.ssh_port, limit, running.alive):
        return
    what = f"no login within {limit:.0f} s" if running.alive() else "QEMU ended while the guest booted"
    serial = tail(os.path.join(directory, "serial.log"), 15, "\n    ")
    raise VmError(f"{machine.name}: {what}; the end of its serial log:\n    {serial or '(empty)'}")


def tail(path: str, lines: int, joint: str) -> str:
    """The last lines of a log, joined; empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return joint.join(line.rstrip() for line in stream.read().splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def overlay(directory: str, backing: str, backing_format: str) -> str:
    """A copy-on-write disk over ``backing``, named disk.qcow2 (the name is relative: the directory may be renamed)."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", backing_format, "disk.qcow2"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise VmError(f"qemu-img: {done.stderr.strip()}")
    return "disk.qcow2"
