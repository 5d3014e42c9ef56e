# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process that stays beside a container where no systemd does: its output, its end, its next start.

One supervisor a container. It holds a lock while it lives; the container dies with it (PR_SET_PDEATHSIG), and the next
supervisor clears what is left in /run. The tie goes when init changes its user (gosu, su), and another runtime's
container has none: such a one counts as exited (control.observe), and the next supervisor, or ``stop``, ends its
processes by cgroup.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import Any

from ..._kernel import cgroup, files, process
from ..._kernel.errors import BareKernelError, KernelError
from ..errors import RuntimeFailure
from ..process import cgroups, clock
from . import engine, logs, record, restart
from . import launch as launch_
from .launch import Launch
from .record import State

_CHUNK = 65536
#: Where ``stop --timeout`` leaves its wish for the supervisor, beside state.json.
STOP_REQUEST = "stop-timeout"


class Supervisor:
    """Runs one declared container until it is to be stopped, or ends and is not to be started again."""

    def __init__(self, path: str, launch: Launch) -> None:
        self.path = path
        self.launch = launch
        self.version = (0, 0)
        self.stopping = False
        self.kill_at: float | None = None
        self.tries = 0
        self.pid = 0
        self.started = 0.0
        self.streams: dict[int, str] = {}
        self.log: logs.Writer | None = None
        self.budget = logs.Budget()
        self.oom_before = 0
        me = os.getpid()
        self.state = State(record.CREATED, supervisor=me, supervisor_start_time=process.start_time(me))
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def begin(self) -> None:
        """Everything up to the running container. Raises RuntimeFailure, KernelError; then nothing is left."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_arguments: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        engine.clear(self.launch)
        engine.private_mounts()
        engine.mount_rootfs(self.launch)
        if self.launch.log is not None:
            log = self.launch.log
            self.log = logs.Writer(log.path, log.max_size, log.max_files)
        try:
            self._start()
        except BaseException as error:
            self._note(record.EXITED, error=str(error), finished_at=clock.now())
            self._leave()
            raise

    def _start(self) -> None:
        engine.make_cgroup(self.launch)
        self.oom_before = cgroups.oom_kills(self.launch.cgroup)
        readers, writers = [], []
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        started_at = clock.now()  # before its first word, by which the lines of this start are known
        try:
            for _stream in (logs.STDOUT, logs.STDERR) if self.log else ():
                reader, writer = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(reader, False)
                readers.append(reader)
                writers.append(writer)
            stdout, stderr = writers or (null, null)
            stdio = (null, stdout, stderr)
            self.pid, started = engine.start(self.launch, stdio, clone_parent=False, die_with_parent=True)
        except BaseException:
            for reader in readers:
                os.close(reader)
            cgroups.destroy(self.launch.cgroup)
            raise
        finally:
            for fd in (null, *writers):
                os.close(fd)
        self.streams = dict(zip(readers, (logs.STDOUT, logs.STDERR)))
        self.started = time.monotonic()
        ran = {"pid": self.pid, "start_time": started, "started_at": started_at}
        self._note(record.RUNNING, **ran, finished_at=None, error="")

    def _note(self, status: str, **changes: Any) -> None:
        self.state = self.state._replace(status=status, **changes)
        record.write(self.launch.id, self.state)

    def run(self) -> None:
        """Until the end of the container's life."""
        while True:
            status = self._watch()
            delay = self._ended(status)
            if delay is None or not self._wait_and_start(delay):
                break
        self._note(record.STOPPED if self.stopping else record.EXITED)
        self._leave()

    def _watch(self) -> int:
        """Copy output until init has ended; returns its wait status."""
        while True:
            ended = self._reap()
            if ended is not None:
                return ended
            self._poll(None if self.kill_at is None else max(0.0, self.kill_at - time.monotonic()))
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self.kill_at = None
                cgroup.kill(self.launch.cgroup)

    def _reap(self) -> int | None:
        """Wait for everyone who ended (we are the subreaper); init's status when it is among them."""
        ended = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                # Another runtime may have reaped it: then all we know is that it is gone.
                return ended if ended is not None or process.alive(self.pid, self.state.start_time) else 0
            if pid == 0:
                return ended
            if pid == self.pid:
                ended = status

    def _poll(self, timeout: float | None) -> None:
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        pause = self.budget.pause()
        for fd in self.streams if not pause else ():
            poll.register(fd, select.POLLIN)
        if pause and self.streams:
            timeout = pause if timeout is None else min(timeout, pause)
        for fd, _event in poll.poll(None if timeout is None else int(timeout * 1000) + 1):
            if fd == self._wake_read:
                self._signals(os.read(fd, 512))
            else:
                with self.budget.spent():
                    self._read(fd)

    def _signals(self, numbers: bytes) -> None:
        if (signal.SIGTERM in numbers or signal.SIGINT in numbers) and not self.stopping:
            self.stopping = True
            self._reload()
            timeout = self._asked_timeout()
            self.kill_at = time.monotonic() + (self.launch.stop.timeout if timeout is None else timeout)
            if self.pid:
                with contextlib.suppress(KernelError):  # a frozen container would not notice
                    cgroup.write(self.launch.cgroup, "cgroup.freeze", "0")
                engine.signal(self.launch, self.pid, self.state.start_time, self.launch.stop.signal)

    def _asked_timeout(self) -> float | None:
        try:
            with open(f"{record.directory(self.launch.id)}/{STOP_REQUEST}", encoding="ascii") as handle:
                return float(handle.read())
        except (OSError, ValueError):
            return None

    def _read(self, fd: int) -> bool:
        """Take what is in a pipe; False when there is nothing more."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        stream = self.streams[fd]
        if self.log is not None and data:
            self._reload()
            self.log.feed(stream, data)
        if not data:
            os.close(fd)
            del self.streams[fd]
        return bool(data)

    def _ended(self, status: int) -> float | None:
        """Record how init ended and clear what it left; seconds until the next try, None for none."""
        code = os.waitstatus_to_exitcode(status)
        name = signal.Signals(-code).name if code < 0 and -code in set(signal.Signals) else None
        code = code if code >= 0 else 128 - code
        oom = cgroups.oom_kills(self.launch.cgroup) > self.oom_before
        ran = time.monotonic() - self.started
        self.pid, self.kill_at = 0, None
        engine.clear(self.launch)  # only now is every writer of the pipes gone
        for fd in list(self.streams):
            while self._read(fd):
                pass
        for fd in list(self.streams):
            os.close(fd)
        self.streams = {}
        if self.log is not None:
            self.log.finish(logs.STDOUT)
            self.log.finish(logs.STDERR)
        self._reload()
        self.tries = restart.tries_after(self.tries, ran)
        delay = None if self.stopping else restart.next_delay(self.launch.restart, code, self.tries)
        self._note(
            record.STOPPED if self.stopping else record.EXITED if delay is None else record.RESTARTING,
            pid=None,
            start_time=None,
            finished_at=clock.now(),
            exit_code=code,
            signal=name,
            oom_killed=oom,
        )
        return delay

    def _wait_and_start(self, delay: float | None) -> bool:
        """Wait, start; a start that fails is a try as well. False when it is over."""
        while delay is not None:
            until = time.monotonic() + delay
            while time.monotonic() < until and not self.stopping:
                self._poll(until - time.monotonic())
            self._reload()
            if self.stopping or self.launch.restart.policy == "no":
                return False
            self.tries += 1
            try:
                self.state = self.state._replace(restarts=self.state.restarts + 1)
                self._start()
                return True
            except (BareKernelError, OSError) as error:
                engine.clear(self.launch)
                delay = restart.next_delay(self.launch.restart, 1, self.tries)
                self._note(record.EXITED if delay is None else record.RESTARTING, error=str(error))
        return False

    def _reload(self) -> None:
        """Restart policy, stop signal and log limits may have been changed while it ran: then the file is another."""
        with contextlib.suppress(RuntimeFailure, OSError):
            there = os.stat(self.path)
            if (there.st_ino, there.st_mtime_ns) == self.version:
                return
            self.launch = launch_.load(self.path)
            self.version = there.st_ino, there.st_mtime_ns
            if self.log is not None and self.launch.log is not None:
                self.log.max_size, self.log.max_files = self.launch.log.max_size, max(1, self.launch.log.max_files)

    def _leave(self) -> None:
        """The last things: no process, cgroup or mount of the container stays."""
        engine.clear(self.launch)
        engine.unmount_rootfs(self.launch)
        if self.log is not None:
            self.log.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{record.directory(self.launch.id)}/{STOP_REQUEST}")


def stop(launch: Launch, timeout: float | None) -> None:
    """Have the supervisor stop its container and wait for both; without a supervisor clear what is left.

    Raises RuntimeFailure, Busy.
    """
    state = record.read(launch.id)
    supervisor = state.supervisor if state is not None else None
    if state is not None and supervisor is not None:
        with contextlib.suppress(KernelError):  # it is gone: nothing to wait for
            pidfd = process.open_process(supervisor, state.supervisor_start_time)
            try:
                _ask(launch, timeout, pidfd)
            finally:
                os.close(pidfd)
    engine.clear(launch)
    state = record.read(launch.id)
    if state is not None and state.status != record.STOPPED:
        finished = state.finished_at or clock.now()
        gone = state._replace(status=record.STOPPED, pid=None, start_time=None, finished_at=finished)
        record.write(launch.id, gone)


def _ask(launch: Launch, timeout: float | None, pidfd: int) -> None:
    if timeout is not None:
        with open(f"{record.directory(launch.id)}/{STOP_REQUEST}", "w", encoding="ascii") as handle:
            handle.write(str(timeout))
    process.send_signal(pidfd, signal.SIGTERM)
    patience = (launch.stop.timeout if timeout is None else timeout) + cgroup.PATIENCE * 2
    if not process.wait_ended(pidfd, patience):
        # It hangs: the container goes with it, and the caller clears the rest.
        process.send_signal(pidfd, signal.SIGKILL)
        process.wait_ended(pidfd, cgroup.PATIENCE)
    # One that was ending by itself, or was killed, has not taken the wish along: it is not the next one's.
    files.remove_file(f"{record.directory(launch.id)}/{STOP_REQUEST}")
