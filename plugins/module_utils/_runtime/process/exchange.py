# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Input and output of a program that we run, until it ends: what it leaves behind may hold its pipes for ever."""

from __future__ import annotations

import os
import select
import subprocess
import time

from ..._kernel import process
from .bounded import Bounded

#: Seconds after its end in which others may still write: the rest of a pipeline, a program that hands its output on.
DRAIN = 1.0
#: Bytes of each of its two outputs that are kept, unless told otherwise.
MOST = 1024 * 1024
#: The most that a pipe holds (/proc/sys/fs/pipe-max-size): one read takes all that the program itself has written.
_ALL = 1024 * 1024


def exchange(
    running: subprocess.Popen[bytes], stdin: bytes, timeout: float | None, most: int
) -> tuple[Bounded, Bounded]:
    """Feed a program and return its standard output and error, ``most`` bytes of each; the three are its pipes.

    Raises subprocess.TimeoutExpired where it has not ended after ``timeout`` seconds (None: as long as it likes).
    """
    pidfd = process.pidfd_open(running.pid)
    try:
        pipes = _Pipes(running, stdin, most)
        if not pipes.copy_until(pidfd, timeout):
            raise subprocess.TimeoutExpired(running.args, timeout or 0)
        pipes.drain()
        running.wait()
        return pipes.stdout, pipes.stderr
    finally:
        os.close(pidfd)


class _Pipes:
    def __init__(self, running: subprocess.Popen[bytes], stdin: bytes, most: int) -> None:
        if running.stdin is None or running.stdout is None or running.stderr is None:
            raise ValueError("all three must be pipes")
        self.input = running.stdin
        self.left = memoryview(stdin)
        self.stdout, self.stderr = Bounded(most), Bounded(most)
        self.outputs = {running.stdout.fileno(): self.stdout, running.stderr.fileno(): self.stderr}
        self.poll = select.poll()
        for fd in self.outputs:
            self.poll.register(fd, select.POLLIN)
        os.set_blocking(self.input.fileno(), False)
        self.poll.register(self.input.fileno(), select.POLLOUT)

    def copy_until(self, pidfd: int, timeout: float | None) -> bool:
        """Whether the process of the pidfd ended in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        self.poll.register(pidfd, select.POLLIN)
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = [fd for fd, _event in self.poll.poll(None if left is None else int(left * 1000) + 1)]
            self._move(ready)
            if pidfd in ready:
                self.poll.unregister(pidfd)
                return True
            if left == 0:
                return False

    def drain(self) -> None:
        """What is in the pipes, and what comes until their ends, for DRAIN seconds."""
        if not self.input.closed:
            self._close_input()
        deadline = time.monotonic() + DRAIN
        while self.outputs:
            left = max(0.0, deadline - time.monotonic())
            ready = [fd for fd, _event in self.poll.poll(left * 1000)]
            self._move(ready)
            if not ready or left == 0:
                return

    def _move(self, ready: list[int]) -> None:
        for fd in ready:
            if fd in self.outputs:
                self._take(fd)
            elif not self.input.closed and fd == self.input.fileno():
                self._feed()

    def _take(self, fd: int) -> None:
        data = os.read(fd, _ALL)
        self.outputs[fd].feed(data)
        if not data:
            self.poll.unregister(fd)
            del self.outputs[fd]

    def _feed(self) -> None:
        try:
            self.left = self.left[os.write(self.input.fileno(), self.left) if self.left else 0 :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not care for more
            self.left = memoryview(b"")
        if not self.left:
            self._close_input()

    def _close_input(self) -> None:
        self.poll.unregister(self.input.fileno())
        self.input.close()
