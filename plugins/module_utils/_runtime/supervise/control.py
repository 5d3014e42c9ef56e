# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start, stop and look at declared containers: what ns_container and ns_container_exec call.

A container whose unit file exists on a host that systemd runs is systemd's to start and stop; any other has a
supervisor process (supervisor.py). Both leave the same state.json, and what it says is believed only as far as the
live process (PID and start time) confirms it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal as signals
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._kernel import files, locations, process, spawn, systemd
from ..._kernel.cgroup_state import find_hierarchy
from ..._kernel.errors import KernelError
from ..errors import RuntimeFailure
from ..process.exchange import MOST, exchange
from . import launch as launch_
from . import record, unit

if TYPE_CHECKING:
    from .starter import Starter

NSRUN = locations.LIBRARY + "/nsrun"
#: Seconds that a runtime has to say which process it started, after the time of that is over.
PATIENCE = 10.0
#: Seconds after its start within which a process that ends has ended "immediately after starting". A task waits for
#: them, so that what it says of the start does not depend on when it looks.
FIRST_MOMENTS = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")
_starter: Starter | None = None


@dataclass(frozen=True)
class Supervised:
    """A container's life as it is now.

    status: created (its init waits for start), running, restarting (waits for its next try), stopped (on request, or
    never started) or exited (by itself, and is not tried again). Times are RFC 3339 in UTC. ``signal`` is the name of
    what ended it. ``restarts`` counts since it was started on request. ``error`` is why the last start failed.
    ``unwatched``: it counts as exited, as its supervisor was killed, but its process lives until somebody ends it.
    ``ending``: its process is gone, and whoever watches it has not said yet how it ended and what comes next; or its
    launcher has not said yet that its program runs.
    """

    name: str
    status: str
    pid: int | None = None
    start_time: int | None = None
    supervisor: int | None = None
    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    oom_killed: bool = False
    restarts: int = 0
    error: str = ""
    unwatched: bool = False
    ending: bool = False

    @property
    def completed(self) -> bool:
        """Whether it ended by itself, with success, and is not started again."""
        return self.status == "exited" and self.exit_code == 0 and not (self.error or self.unwatched)

    @property
    def failed(self) -> bool:
        """Whether it ended in another way, and is not started again."""
        return self.status == "exited" and not self.completed

    @property
    def running(self) -> bool:
        return self.status == "running"


@dataclass(frozen=True)
class Executed:
    """What a command in a container left: 0-255, 128+N for signal N; output as bytes, and how many were left out."""

    rc: int
    stdout: bytes
    stderr: bytes
    stdout_omitted: int = 0
    stderr_omitted: int = 0


def observe(name: str) -> Supervised:
    """The live state. Raises KernelError for a damaged state file.

    Between the end of a process and the word of whoever watches it are milliseconds, in which nobody can tell whether
    it failed or will be started again: they are waited for. So are those before a program that systemd counts as
    running.
    """
    deadline = time.monotonic() + unit.SETTLE
    while (found := _observe(name)).ending and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def wait_first_moments(name: str) -> None:
    """Return when the container's process has run for FIRST_MOMENTS, or is gone. Raises KernelError."""
    state = record.read(name)
    if state is None or state.pid is None or state.start_time is None:
        return
    left = state.start_time / _TICKS + FIRST_MOMENTS - time.clock_gettime(time.CLOCK_BOOTTIME)
    if left > 0:
        with contextlib.suppress(KernelError):  # it is gone already
            pidfd = process.open_process(state.pid, state.start_time)
            try:
                process.wait_ended(pidfd, left)
            finally:
                os.close(pidfd)


def _observe(name: str) -> Supervised:
    state, alive, watched = _look(name)
    managed = by_systemd(name)
    if state is None:
        return Supervised(name, "stopped")
    status, error, ending = state.status, state.error, managed and state.status == record.CREATED
    if managed and not alive:
        return _observe_unit(name, state)
    unwatched = alive and not watched and not managed and state.supervisor is not None
    if unwatched:
        # The kernel forgets to end init with its supervisor once init has changed its user (prctl(2)).
        status, alive, error = record.EXITED, False, "its supervisor was killed"
    elif status in ("created", "running") and not alive:
        # The supervisor is about to say how it ended; without one nobody will.
        status, ending = ("restarting", True) if watched else ("exited", False)
        error = error or ("" if watched else "its supervisor was killed, and the container with it")
    elif status == "restarting" and not watched:
        status, error = "exited", error or "its supervisor was killed"
    return Supervised(
        name,
        status,
        pid=state.pid if alive else None,
        start_time=state.start_time if alive else None,
        supervisor=state.supervisor if watched else None,
        started_at=state.started_at,
        finished_at=state.finished_at,
        exit_code=None if alive or unwatched else state.exit_code,
        signal=None if alive or unwatched else state.signal,
        oom_killed=state.oom_killed,
        restarts=state.restarts,
        error=error,
        unwatched=unwatched,
        ending=ending,
    )


def _look(name: str) -> tuple[record.State | None, bool, bool]:
    """The record, and whether the container's init and its supervisor live.

    Processes are looked at after the record that names them, and may have written another one before they ended: what
    was seen belongs together only where the record is still the same afterwards.
    """
    state = record.read(name)
    while state is not None:
        alive = state.pid is not None and process.alive(state.pid, state.start_time)
        watched = state.supervisor is not None and process.alive(state.supervisor, state.supervisor_start_time)
        state, before = record.read(name), state
        if state == before:
            return state, alive, watched
    return None, False, False


def _observe_unit(name: str, state: record.State) -> Supervised:
    """A container under systemd whose process has ended: what comes next is systemd's to know."""
    status = state.status
    active = systemd.properties(unit.unit_name(name), "ActiveState").get("ActiveState")
    unsaid = status in (record.CREATED, record.RUNNING)
    ending = active == "deactivating" or (unsaid and active not in ("inactive", "failed"))
    if active == "activating":
        status = record.RESTARTING
    elif active == "failed" or unsaid:
        status = record.EXITED
    return Supervised(
        name,
        status,
        started_at=state.started_at,
        finished_at=state.finished_at,
        exit_code=state.exit_code,
        signal=state.signal,
        oom_killed=state.oom_killed,
        restarts=state.restarts,
        error=state.error,
        # Where something was said meanwhile, it belongs to what the unit is now.
        ending=ending or record.read(name) != state,
    )


def by_systemd(name: str) -> bool:
    """Whether systemd supervises the container."""
    return systemd.running() and os.path.exists(unit.unit_path(name))


def lock_of(name: str) -> str:
    """The lock (files.locked) of whoever starts or stops the container."""
    return f"container-{name}"


def start(name: str) -> None:
    """Start the container as its launch.json says and return when its process runs. Raises RuntimeFailure."""
    if by_systemd(name):
        try:
            systemd.start(unit.unit_name(name))
        except KernelError as error:
            # The launcher left its own words; systemd only knows that it failed.
            state = record.read(name)
            raise RuntimeFailure(state.error if state and state.error else str(error)) from None
        # The unit is active before the program runs, as whether it can run at all its status alone would not tell.
        if failure := observe(name).error:
            raise RuntimeFailure(failure)
        return
    if _starter is not None:
        _starter.start(launch_.path_of(name), files.held(lock_of(name)))
    else:
        _nsrun("supervise", launch_.path_of(name), locks=files.held(lock_of(name)))


@contextlib.contextmanager
def many_starts() -> Iterator[None]:
    """While many containers are started by this process: start() is cheaper then, and so are their supervisors."""
    global _starter
    from .starter import Starter  # here: whoever starts one needs it not

    _starter, before = Starter(NSRUN), _starter
    try:
        yield
    finally:
        _starter.close()
        _starter = before


def stop(name: str, timeout: float | None = None) -> None:
    """Stop it: its stop signal, then after ``timeout`` seconds (as declared when None) SIGKILL to all of it.

    Nothing is left but its logs and its state.json. Raises RuntimeFailure, KernelError.
    """
    if by_systemd(name):
        systemd.stop(unit.unit_name(name))
        if os.path.lexists(f"{record.RUNTIME_ROOT}/{name}"):
            # On a busy host its ExecStopPost= may not get far enough to ask for more time, and is killed.
            from . import engine

            engine.clear(launch_.load(launch_.path_of(name)))
        state = record.read(name)
        if state is not None and state.status != record.STOPPED:
            record.write(name, state._replace(status=record.STOPPED))
        return
    from . import supervisor  # here: who only looks needs none of the runtime

    supervisor.stop(launch_.load(launch_.path_of(name)), timeout)


def kill(name: str, signal: str = "SIGKILL") -> None:
    """Send a signal to the container's init. Raises RuntimeFailure."""
    _nsrun("--root", record.RUNTIME_ROOT, "kill", name, signal)


def clear(name: str) -> None:
    """Remove what a container leaves besides its directory: processes, cgroup, runtime state, state.json.

    For a container that is to be absent, also when its supervisor was killed. Raises KernelError, RuntimeFailure.
    """
    stop(name)
    record.forget(name)
    if systemd.running():
        _stop_empty_slice()


def _stop_empty_slice() -> None:
    """systemd makes the slice with the first container, and keeps it until it is told. The caller holds the lock."""
    path = f"{find_hierarchy().mount}/{unit.SLICE}"
    if os.path.isdir(path) and not any(entry.is_dir() for entry in os.scandir(path)):
        systemd.stop(unit.SLICE)


def exec_(
    name: str,
    process_: Mapping[str, Any],
    stdin: bytes = b"",
    timeout: float | None = None,
    runtime: str = "nsrun",
    most: int = MOST,
) -> Executed:
    """Run a command in the running container; process_ is the runtime-spec's ``process`` object.

    Of its standard output and of its standard error ``most`` bytes are kept each, of the beginning and of the end.
    Raises RuntimeFailure when it could not be started, or did not end within ``timeout`` seconds: then it is killed.
    """
    program = NSRUN if runtime == "nsrun" else runtime
    request, log = os.memfd_create("process"), os.memfd_create("log")
    try:
        os.write(request, json.dumps(process_).encode("utf-8", "surrogateescape"))
        os.lseek(request, 0, os.SEEK_SET)
        command = [program, "--root", record.RUNTIME_ROOT, "--log", f"/proc/self/fd/{log}", "--log-format", "json"]
        command += ["exec", "--process", f"/proc/self/fd/{request}"]
        done = _within(timeout, command, name, stdin, (request, log), most)
        failure = _logged_error(os.pread(log, 65536, 0))
    finally:
        os.close(request)
        os.close(log)
    if failure:
        raise RuntimeFailure(failure)
    return done


def _within(
    timeout: float | None,
    command: list[str],
    name: str,
    stdin: bytes,
    fds: tuple[int, ...],
    most: int = MOST,
) -> Executed:
    """The runtime's exec; when its time is over, the command it started is killed, and what that started with it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with tempfile.TemporaryDirectory(prefix="barekernel-") as directory:
        command = [*command, "--pid-file", f"{directory}/pid", name]
        with spawn.start(command, pass_fds=fds, **pipes) as running:
            try:
                stdout, stderr = exchange(running, stdin, timeout, most)
            except subprocess.TimeoutExpired:
                _kill(_pid_of_command(f"{directory}/pid", running), running)
                raise RuntimeFailure(f"it did not end within {timeout:g} seconds and was killed") from None
            finally:
                running.kill()  # one that has ended is none; of an error Popen would wait for its end
    return Executed(running.returncode, bytes(stdout), bytes(stderr), stdout.omitted, stderr.omitted)


def _kill(pid: int, runtime: subprocess.Popen[bytes]) -> None:
    """The command and all that descends from it; the runtime where it has started none, or does not end with it."""
    if pid:
        process.kill_descent(pid, runtime.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            runtime.wait(PATIENCE)
    runtime.kill()


def _pid_of_command(path: str, runtime: subprocess.Popen[bytes]) -> int:
    """What the runtime writes there, as soon as it does; 0 where it never does.

    It writes it when the command runs already: whoever killed the runtime before would leave the command behind.
    """
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(path) and runtime.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return int(files.read_text(path) or 0)


def _logged_error(raw: bytes) -> str:
    """What a runtime wrote to its JSON log as an error; empty when it had none."""
    messages = []
    for line in raw.decode("utf-8", "replace").split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("level") in ("error", "fatal"):
            messages.append(str(entry.get("msg", "")))
    return "; ".join(messages)


def _nsrun(*arguments: str, locks: tuple[int, ...] = ()) -> None:
    """Run the installed nsrun; its standard error is the reason when it fails.

    It holds these locks as well: it goes on where we are killed, or interrupted at a terminal, and the next task has to
    wait for what comes of it.
    """
    how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "start_new_session": True}
    try:
        done = spawn.run([NSRUN, *arguments], pass_fds=locks, **how)
    except OSError as error:
        raise RuntimeFailure(f"{NSRUN} cannot be run: {error.strerror}. Run the playbook again to install it") from None
    if done.returncode < 0:
        raise RuntimeFailure(f"nsrun was killed by {signals.Signals(-done.returncode).name}")
    if done.returncode:
        raise RuntimeFailure(done.stderr.decode("utf-8", "replace").strip() or f"nsrun exited with {done.returncode}")
