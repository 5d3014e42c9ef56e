# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Standard input, output and error of a process that gets no terminal of its own, where ours are a terminal.

Whoever has a terminal open may read what is typed into it, through its standard output too, for as long as he lives. So
ours is not handed on: a process in the foreground gets pipes that we copy to and from until it ends, and one that stays
behind gets /dev/null. What is no terminal is handed on as it is.
"""

from __future__ import annotations

import errno
import os
import select
import signal

from ..._kernel import process

_CHUNK = 65536
#: The most that a pipe holds (/proc/sys/fs/pipe-max-size): one read takes all that the process itself has written.
_ALL = 1024 * 1024


class Standard:
    """``fds``: what the process gets as 0, 1 and 2; None where that is what we have ourselves."""

    def __init__(self, terminal: bool, stays: bool) -> None:
        """``terminal``: the process gets one of its own. ``stays``: it outlives us."""
        self._relayed: dict[int, int] = {}
        self._theirs: list[int] = []
        found = [
            self._instead_of(number, stays) if not terminal and os.isatty(number) else number for number in (0, 1, 2)
        ]
        self.fds = (found[0], found[1], found[2]) if self._theirs else None

    def _instead_of(self, number: int, stays: bool) -> int:
        if stays:
            theirs = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        else:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            theirs, self._relayed[number] = (writer, reader) if number else (reader, writer)
        self._theirs.append(theirs)
        return theirs

    def relay(self, pid: int) -> None:
        """Copy until that child of ours has ended; at once where there is nothing to copy. The process has its own
        ends by now."""
        for fd in self._theirs:
            os.close(fd)
        self._theirs = []
        if self._relayed:
            # In the background a terminal cannot be read: then EIO tells, instead of a signal that stops us.
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)
            pidfd = process.pidfd_open(pid)
            try:
                _Copy(self._relayed).until_ended(pidfd)
            finally:
                os.close(pidfd)


class _Copy:
    def __init__(self, relayed: dict[int, int]) -> None:
        self.outputs = {fd: number for number, fd in relayed.items() if number}
        self.input = relayed.get(0, -1)
        self.pending = b""
        self.poll = select.poll()
        for fd in self.outputs:
            self.poll.register(fd, select.POLLIN)
        if self.input >= 0:
            os.set_blocking(self.input, False)
            self.poll.register(0, select.POLLIN)

    def until_ended(self, pidfd: int) -> None:
        self.poll.register(pidfd, select.POLLIN)
        while True:
            ready = [fd for fd, _event in self.poll.poll()]
            for fd in ready:
                if fd in self.outputs:
                    self._show(fd, _CHUNK)
                elif fd == 0:
                    self._take()
                elif fd == self.input:
                    self._feed()
            if pidfd in ready:
                for fd in list(self.outputs):
                    os.set_blocking(fd, False)  # what it left behind may hold the other end for ever
                    self._show(fd, _ALL)
                return

    def _show(self, fd: int, most: int) -> None:
        try:
            data = os.read(fd, most)
        except BlockingIOError:
            return
        if not data:
            self.poll.unregister(fd)
            del self.outputs[fd]
            return
        number = self.outputs[fd]
        while data:
            data = data[os.write(number, data) :]

    def _take(self) -> None:
        """What was typed; nothing more is read before it was passed on."""
        try:
            self.pending = os.read(0, _CHUNK)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self.pending = b""
        self.poll.unregister(0)
        if self.pending:
            self.poll.register(self.input, select.POLLOUT)
        else:
            os.close(self.input)  # the end of the input

    def _feed(self) -> None:
        try:
            self.pending = self.pending[os.write(self.input, self.pending) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not care for more
            self.poll.unregister(self.input)
            return
        if not self.pending:
            self.poll.unregister(self.input)
            self.poll.register(0, select.POLLIN)
