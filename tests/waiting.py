# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens by and by is waited for with these, and never looked at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds. What is waited for takes moments on an idle machine; how long it takes on a busy one is no test's business.
PATIENCE = 60.0


def until(what: str, condition: Callable[[], T], told: Callable[[], object] = str, patience: float = PATIENCE) -> T:
    """The first answer of the condition that is true.

    Raises AssertionError with what was waited for, and what ``told`` says then, when there is none in time.
    """
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"in {patience:g} seconds did not happen: {what} {told()}"
        time.sleep(0.02)
    return answer


def until_it_is(pid: int, *argv: str) -> None:
    """Until the process shows these arguments, and so the name of that program.

    execve(2) sets both late: begin_new_exec() (Linux, fs/exec.c) has closed the descriptors that go by then, among
    them the pipe that tells Popen that the program runs, and a shell that is to exec another has said its word.
    """
    wanted = b"".join(os.fsencode(word) + b"\0" for word in argv)
    shown = Path(f"/proc/{pid}/cmdline")
    until(f"process {pid} is {argv}", lambda: shown.read_bytes() == wanted, shown.read_bytes)


@contextlib.contextmanager
def process(*argv: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs under its own name, and is killed and reaped in the end; ``options`` are Popen's."""
    with subprocess.Popen(argv, **options) as running:
        try:
            until_it_is(running.pid, *argv)
            yield running
        finally:
            running.kill()
