# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The foreground: signals are handed on, the terminal is relayed, and the exit status is the process's own."""

from __future__ import annotations

import contextlib
import os
import select
import signal

from ..._kernel import process

#: Handed on to the process; the others are about ourselves.
_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
)


class Forwarding:
    """While it lasts, signals to us are signals to the process whose PID ``to`` is set to (0: kept until then)."""

    def __enter__(self) -> Forwarding:
        self.pidfd = -1
        self._early: list[int] = []
        self._before = {number: signal.signal(number, self._take) for number in _FORWARDED}
        return self

    def to(self, pid: int) -> None:
        self.pidfd = process.pidfd_open(pid)
        for number in self._early:
            process.send_signal(self.pidfd, number)

    def _take(self, number: int, _frame: object) -> None:
        if self.pidfd < 0:
            self._early.append(number)
        else:
            process.send_signal(self.pidfd, number)

    def __exit__(self, *_exception: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        if self.pidfd >= 0:
            os.close(self.pidfd)


def wait(pid: int) -> int:
    """The exit status of a child: 0-255, 128+N when signal N ended it."""
    _pid, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def relay(master: int, pid: int) -> int:
    """Connect our terminal with the process's until that ends; returns its exit status."""
    import fcntl
    import termios
    import tty

    from . import console

    def resize(*_arguments: object) -> None:
        with contextlib.suppress(OSError):
            fcntl.ioctl(master, console.TIOCSWINSZ, fcntl.ioctl(0, console.TIOCGWINSZ, b"\0" * 8))

    before = termios.tcgetattr(0) if os.isatty(0) else None
    if before is not None:
        tty.setraw(0)
        resize()
        signal.signal(signal.SIGWINCH, resize)
    try:
        _copy(master)
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        os.close(master)
    return wait(pid)


def _copy(master: int) -> None:
    poll = select.poll()
    poll.register(master, select.POLLIN)
    poll.register(0, select.POLLIN)
    while True:
        for fd, _event in poll.poll():
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""  # EIO: the last process closed its side
            if fd == master and not data:
                return
            if not data:
                poll.unregister(0)
            _write_all(1 if fd == master else master, data)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
