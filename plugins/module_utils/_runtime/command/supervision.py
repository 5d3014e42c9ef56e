# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""supervise, starter and stop: containers' supervisors as daemons, and their end. launch and settle: the same under
systemd."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Sequence
from typing import Any

from ..._kernel import cgroup, files, libc, spawn
from ..._kernel.errors import BareKernelError, KernelError
from ..._kernel.notify import barrier, notify
from ..._kernel.process_title import set_command_line
from ..bundle import spec
from ..bundle.signals import signal_number
from ..errors import BundleError, RuntimeFailure
from ..process import cgroups, clock, descriptors, seal
from ..supervise import engine, record
from ..supervise import launch as launch_
from ..supervise import starter as starter_
from ..supervise.launch import Launch
from ..supervise.record import State
from ..supervise.unit import LAUNCHER_CGROUP
from .options import VALUE, parse

_PR_SET_CHILD_SUBREAPER = 36


def supervise(_root: str, arguments: Sequence[str]) -> int:
    """supervise LAUNCH.json: start the container and stay beside it in the background; returns when it runs."""
    path = _only_path(arguments)
    launch = launch_.load(path)
    _seal(launch)
    said = _supervised(path, launch)
    if said != starter_.OK:
        raise RuntimeFailure(said.decode("utf-8", "replace"))
    return 0


def _supervised(path: str, launch: Launch) -> bytes:
    """Fork its supervisor; what that says once the container runs, or why it does not."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        os.close(reader)
        _daemon(path, launch, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    with contextlib.suppress(ChildProcessError):
        os.wait()
    return said or b"the supervisor was killed before the container ran"


def starter(_root: str, arguments: Sequence[str]) -> int:
    """starter: supervise each launch.json that is named on the socket that is standard input, until that is closed."""
    if parse(arguments, {}, {}).arguments:
        raise RuntimeFailure("takes no argument", 64)
    from ..supervise import supervisor  # noqa: F401 loaded once for all of them

    starter_.serve(_supervise_for_another)
    return 0


def _supervise_for_another(path: str) -> bytes:
    """In a process for this one alone, which holds the container's lock until it ends."""
    try:
        launch = launch_.load(path)
        if not _needs_seal(launch):
            set_command_line(["nsrun", "supervise", launch.id])
            return _supervised(path, launch)
        done = spawn.run([sys.executable, "-ISXutf8", sys.argv[0], "supervise", path], capture_output=True)
        return starter_.OK if done.returncode == 0 else done.stderr.strip()
    except (BareKernelError, OSError) as error:
        return str(error).encode("utf-8", "replace")


def _seal(wanted: Launch) -> None:
    """See _needs_seal()."""
    if _needs_seal(wanted):
        seal.ensure()


def _needs_seal(wanted: Launch) -> bool:
    """A bundle that cannot be read is reported where its other mistakes are.

    One that joins the user namespace of another's process does not have its path yet: what that maps is not known.
    """
    if wanted.runtime == engine.EMBEDDED:
        with contextlib.suppress(BundleError):
            loaded = spec.load(wanted.bundle)
            return seal.needed(None if "user" in wanted.namespaces else seal.ids_of(loaded))
    return False


def _daemon(path: str, launch: Launch, writer: int) -> None:
    """Never returns. daemon(7): a session of its own, no terminal, nothing of the caller's."""
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    from .cli import hold_library

    status = 1
    try:
        with contextlib.suppress(OSError):
            os.chdir("/")
            os.umask(0o022)
        _close_inherited(keep=writer)
        libc.call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        hold_library()
        lock = _lock(launch.id)
        from ..supervise.supervisor import Supervisor

        supervisor = Supervisor(path, launch)
        try:
            supervisor.begin()
        except (BareKernelError, OSError) as error:
            os.write(writer, str(error).encode("utf-8", "replace"))
            os._exit(1)
        os.write(writer, b"ok")
        os.close(writer)
        supervisor.run()
        os.close(lock)
        status = 0
    except (BareKernelError, OSError) as error:
        with contextlib.suppress(OSError):
            os.write(writer, str(error).encode("utf-8", "replace"))
    finally:
        os._exit(status)


def _close_inherited(keep: int) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    descriptors.close_all_but((keep,))


def _lock(name: str) -> int:
    """The lock that says a supervisor lives. Raises RuntimeFailure where one does."""
    files.make_directory(record.directory(name), 0o700)
    fd = os.open(f"{record.directory(name)}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        state = record.read(name)
        who = f" (PID {state.supervisor})" if state and state.supervisor else ""
        raise RuntimeFailure(f"container {name!r} is running already, under its supervisor{who}") from None
    return fd


def stop(_root: str, arguments: Sequence[str]) -> int:
    """stop [--timeout SECONDS] LAUNCH.json: end the container and its supervisor; nothing of both is left."""
    from ..supervise import supervisor

    options = parse(arguments, {"timeout": VALUE}, {"t": "timeout"})
    timeout = options.value("timeout")
    try:
        seconds = float(timeout) if timeout is not None else None
    except ValueError:
        raise RuntimeFailure(f"--timeout {timeout}: must be a number of seconds", 64) from None
    supervisor.stop(launch_.load(_only_path(options.arguments)), seconds)
    return 0


def launch(_root: str, arguments: Sequence[str]) -> int:
    """launch LAUNCH.json: ExecStart of the container's unit. Its init becomes systemd's own child, and we end."""
    wanted = launch_.load(_only_path(arguments))
    _seal(wanted)
    restarts = _restarts(wanted)
    state = State(record.EXITED, restarts=restarts)

    def created(pid: int, start_time: int) -> None:
        nonlocal state
        # The time is before its first word, by which the lines of this start are known.
        state = State(record.CREATED, pid, start_time, started_at=clock.now(), restarts=restarts)
        record.write(wanted.id, state)
        _hand_over(pid)

    try:
        engine.clear(wanted)
        _step_aside(wanted)
        engine.private_mounts()
        engine.mount_rootfs(wanted)
        engine.make_cgroup(wanted)
        engine.start(wanted, None, clone_parent=True, die_with_parent=False, created=created)
    except (BareKernelError, OSError) as error:
        # What systemd has as its main process has ended then too, and ``settle`` says how.
        finished = None if state.pid else clock.now()
        record.write(wanted.id, state._replace(error=str(error), finished_at=finished))
        raise
    record.write(wanted.id, state._replace(status=record.RUNNING))
    return 0


def _restarts(wanted: Launch) -> int:
    """How often systemd has started it again by now, this time included; no question where it was not there before.

    Asked later, it also counts the try that StartLimitBurst= refused (systemd.service(5), NRestarts).
    """
    from ..._kernel import systemd
    from ..supervise.unit import unit_name

    with contextlib.suppress(KernelError):  # of which nobody can tell
        before = record.read(wanted.id)
        if before is not None and before.status != record.STOPPED and systemd.running():
            return int(systemd.properties(unit_name(wanted.id), "NRestarts").get("NRestarts") or 0)
    return 0


def _hand_over(pid: int) -> None:
    """Make init the unit's main process, and the unit an active one. Raises OSError.

    Before its program runs: systemd refuses a process that has ended, and would go on with us and our exit status; and
    what ends while its unit is not active yet has failed, whatever its own status was.
    """
    notify(f"MAINPID={pid}\nREADY=1")
    barrier()


def _step_aside(wanted: Launch) -> None:
    """Out of the unit's own cgroup: it must be empty before it can enable controllers for its children."""
    unit_cgroup = os.path.dirname(wanted.cgroup)
    if os.path.isdir(unit_cgroup):
        cgroup.make(f"{unit_cgroup}/{LAUNCHER_CGROUP}")
        cgroup.attach(f"{unit_cgroup}/{LAUNCHER_CGROUP}", os.getpid())


def _step_back(wanted: Launch) -> None:
    """Undo _step_aside, for a systemd that uses the unit's cgroup again for the next start."""
    unit_cgroup = os.path.dirname(wanted.cgroup)
    with contextlib.suppress(KernelError):
        cgroup.remove(f"{unit_cgroup}/{LAUNCHER_CGROUP}")
        enabled = tuple((cgroup.read(unit_cgroup, "cgroup.subtree_control") or "").split())
        if enabled:
            cgroup.disable_controllers(unit_cgroup, enabled)


def settle(_root: str, arguments: Sequence[str]) -> int:
    """settle LAUNCH.json: ExecStopPost of the container's unit; records how it ended and clears what is left.

    systemd.exec(5) tells in the environment: SERVICE_RESULT, EXIT_CODE (exited, killed, dumped), EXIT_STATUS.
    """
    wanted = launch_.load(_only_path(arguments))
    refusal = engine.refusal(wanted)
    result, how, what = (os.environ.get(name, "") for name in ("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS"))
    oom = cgroups.oom_kills(wanted.cgroup) > 0 or result == "oom-kill"
    engine.clear(wanted)
    _step_back(wanted)
    state = record.read(wanted.id)  # the launcher, which may have had more to say, is gone by now
    if state is not None and state.status in (record.CREATED, record.RUNNING):
        exited = how == "exited"
        name = None if exited or not what else "SIG" + what
        code = int(what) if exited and what.isdigit() else 128 + signal_number(name) if name else None
        # Whether systemd tries again is systemd's to tell.
        status = record.STOPPED if _asked_to_stop(wanted, name) else record.EXITED
        over: dict[str, Any] = {"status": status, "pid": None, "start_time": None, "finished_at": clock.now()}
        record.write(
            wanted.id, state._replace(**over, exit_code=code, signal=name, oom_killed=oom, error=state.error or refusal)
        )
    return 0


def _asked_to_stop(wanted: Launch, signal: str | None) -> bool:
    """Whether somebody stops the unit: then it has a job, which it has not when its process ended by itself."""
    from ..._kernel import systemd
    from ..supervise.unit import unit_name

    if systemd.running():
        with contextlib.suppress(KernelError):
            return bool(systemd.properties(unit_name(wanted.id), "Job").get("Job"))
    return signal == wanted.stop.signal


def _only_path(arguments: Sequence[str]) -> str:
    given = parse(arguments, {}, {}).arguments
    if len(given) != 1:
        raise RuntimeFailure("needs exactly one launch.json", 64)
    return os.path.abspath(given[0])
