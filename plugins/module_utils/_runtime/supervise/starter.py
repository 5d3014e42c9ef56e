# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many containers started by one process: it loads the supervisor's code once and forks a supervisor for each.

A program for each would spend more time on loading than on starting, and keep all of that code in memory for itself.
Who asks holds a socket to it (nsrun starter, its standard input): each message is the path of a launch.json, with a
pipe for the answer, which is ``ok`` or why it could not be started. It ends when the socket is closed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence

from ..._kernel import spawn
from ..errors import RuntimeFailure

OK = b"ok"
_LONGEST = 4096
#: At most, of one request: the pipe for its answer, and locks.
_DESCRIPTORS = 8


class Starter:
    """Our side. May be used by many threads; the process is started by the first that needs it."""

    def __init__(self, nsrun: str) -> None:
        self._nsrun = nsrun
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def start(self, path: str, locks: Sequence[int] = ()) -> None:
        """Start the container of a launch.json; returns when it runs. Raises RuntimeFailure.

        Whoever starts it there holds these locks as well: that goes on where we are killed.
        """
        reader, writer = os.pipe2(os.O_CLOEXEC)
        with os.fdopen(reader, "rb") as pipe:
            try:
                with self._lock:
                    socket.send_fds(self._open(), [os.fsencode(path)], [writer, *locks])
            except OSError as error:
                raise RuntimeFailure(f"{self._nsrun} starter: {error.strerror}") from None
            finally:
                os.close(writer)
            said = pipe.read()
        if said != OK:
            raise RuntimeFailure(said.decode("utf-8", "replace") or "it was killed before the container ran")

    def _open(self) -> socket.socket:
        if self._channel is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                # Of a session of its own: what it has begun goes on where we are interrupted at a terminal.
                how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
                self._process = spawn.start([self._nsrun, "starter"], stdin=theirs, **how)
            self._channel = ours
        return self._channel

    def close(self) -> None:
        """Have it end; the containers stay."""
        if self._channel is not None and self._process is not None:
            self._channel.close()
            self._process.wait()


def serve(one: Callable[[str], bytes]) -> None:
    """The other side, until nobody holds the socket any more. ``one`` is called in a process of its own, with the path,
    and returns the answer."""
    # What is there now is not written to by looking for garbage, so all supervisors share it.
    gc.freeze()
    with socket.socket(fileno=0) as channel:
        for path, (answer, *locks) in _requests(channel):
            if os.fork() == 0:
                try:
                    os.write(answer, one(path))
                finally:
                    os._exit(0)
            for fd in (answer, *locks):
                os.close(fd)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _requests(channel: socket.socket) -> Iterator[tuple[str, list[int]]]:
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(
            channel, _LONGEST, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            return
        yield os.fsdecode(message), descriptors
