# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes as /proc and pidfds tell them: who is who, and whether it is still the same one."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal as signals
from collections.abc import Iterator

from . import libc
from .errors import KernelError

#: Seconds that a person may have us wait: eleven days, and few enough for poll(2), which counts milliseconds.
LONGEST_WAIT = 1_000_000
_PR_SET_PDEATHSIG = 1


def start_time(pid: int) -> int | None:
    """When the process began, in clock ticks since boot (field 22 of proc_pid_stat(5)); None where it is gone.

    A PID and its start time together name one process for ever: PIDs are used again, the pair is not.
    """
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def may_have_oom_score_adj(value: int) -> bool:
    """Whether the kernel lets a process that we start have it: below the lowest that a privileged process has set for
    it, only with CAP_SYS_RESOURCE (proc_pid_oom_score_adj(5)). A child tries where that is not known otherwise."""
    with open("/proc/self/oom_score_adj", encoding="ascii") as handle:
        if value >= int(handle.read()):
            return True
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with open("/proc/self/oom_score_adj", "w", encoding="ascii") as handle:
                handle.write(str(value))
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command, beginning with the state; empty where the process is gone."""
    return _fields(f"/proc/{pid}/stat", None)


def _fields(path: str, directory: int | None) -> list[str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        with open(fd, "rb") as handle:
            # The command may hold anything, also ")": it ends at the last one.
            return handle.read().rpartition(b")")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error


@contextlib.contextmanager
def entry(pid: int, started: int | None) -> Iterator[int]:
    """A descriptor of the /proc/PID of exactly the process that began at ``started`` (None: of none).

    It is bound to the process, not to its PID (fs/proc/base.c: a lookup goes by struct pid): when that process is gone,
    nothing opens from it any more, even where its PID is another's by then.

    Raises KernelError(ESRCH) for any other, and instead of what is raised in the block when the process has ended by
    then. The kernel has many words for that: ESRCH of one that is reaped; of a zombie EINVAL (mounts, mountinfo,
    mountstats), ENOENT (root, cwd, exe, most of ns/) or ESRCH (environ, mem); EACCES where it is reaped on the way
    (fs/proc/namespaces.c). Of a zombie, stat, status, cgroup and the ID maps can be read, fd/ and maps are empty.
    """
    try:
        fd = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        raise KernelError(errno.ESRCH, "open", f"/proc/{pid}", "The process has ended") from None
    try:
        fields = _fields("stat", fd)
        if started is None or not fields or int(fields[19]) != started:
            raise KernelError(errno.ESRCH, "open", f"/proc/{pid}", "The process has ended, or its PID is another's now")
        try:
            yield fd
        except OSError as error:
            if runs(fd):
                raise
            raise KernelError(errno.ESRCH, "open", f"/proc/{pid}", "The process has ended") from error
    finally:
        os.close(fd)


def runs(entry: int) -> bool:
    """Whether the process of an entry() still does; a zombie does not."""
    return _is_alive(_fields("stat", entry))


def _is_alive(fields: list[str]) -> bool:
    return bool(fields) and fields[0] not in ("Z", "X")


def open_namespace(pid: int, started: int | None, name: str) -> int:
    """A descriptor of a namespace of exactly that process, by its name in /proc/PID/ns.

    Raises KernelError: ESRCH where the process has ended or is another one, ENOENT where the kernel has no such type.
    """
    with entry(pid, started) as directory:
        try:
            return os.open(f"ns/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        except OSError as error:
            raise KernelError.wrap(error, "open", f"/proc/{pid}/ns/{name}") from error


def lineage(pid: int) -> tuple[int, ...]:
    """A process and its ancestors, as far as this PID namespace shows them."""
    found: list[int] = []
    while pid > 0 and pid not in found:
        found.append(pid)
        fields = stat_fields(pid)
        pid = int(fields[1]) if fields else 0
    return tuple(found)


def owner_of(thread: int) -> int | None:
    """The process that a thread belongs to, None where it is gone."""
    try:
        with open(f"/proc/{thread}/status", "rb") as handle:
            return int(next(line for line in handle if line.startswith(b"Tgid:")).split()[1])
    except (OSError, StopIteration):
        return None


def alive(pid: int, started: int | None) -> bool:
    """Whether the process that began at ``started`` (None: none) runs under that PID; a zombie does not."""
    fields = stat_fields(pid)
    return _is_alive(fields) and int(fields[19]) == started


def pidfd_open(pid: int) -> int:
    """pidfd_open(2): a close-on-exec descriptor of a process. Raises KernelError(ESRCH) where there is none."""
    return libc.syscall("pidfd_open", libc.NR_pidfd_open, pid, 0, path=str(pid))


def open_process(pid: int, started: int | None) -> int:
    """A pidfd of exactly the process that began at ``started`` (None: of none). Raises KernelError(ESRCH) else."""
    pidfd = pidfd_open(pid)
    # No other process can have begun at that time under that PID: what is read now is of the one that we hold, or that
    # one has ended, which the descriptor tells.
    if started is None or start_time(pid) != started:
        os.close(pidfd)
        raise KernelError(errno.ESRCH, "pidfd_open", str(pid), "The PID now belongs to another process")
    return pidfd


def has_ended(pidfd: int) -> bool:
    """Whether the process of a pidfd is over (the descriptor becomes readable)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def send_signal(pidfd: int, signal: int) -> bool:
    """pidfd_send_signal(2); False where the process is already over. Raises KernelError."""
    try:
        libc.syscall("pidfd_send_signal", libc.NR_pidfd_send_signal, pidfd, signal, None, 0)
    except KernelError as error:
        if error.errno == errno.ESRCH:
            return False
        raise
    return True


def end_with(pidfd: int) -> None:
    """This process gets SIGKILL when its parent, whose pidfd this is, ends (prctl(2), PR_SET_PDEATHSIG).

    A change of IDs or capabilities takes that back: then again. Raises KernelError.
    """
    libc.call("prctl", _PR_SET_PDEATHSIG, int(signals.SIGKILL), 0, 0, 0)
    if has_ended(pidfd):  # before we asked: nobody would tell us any more
        os._exit(1)


def wait_ended(pidfd: int, timeout: float | None = None) -> bool:
    """Wait until the process of a pidfd is over, at most ``timeout`` seconds; whether it is."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else int(timeout * 1000)))


def kill_descent(pid: int, parent: int) -> None:
    """SIGKILL a child of ``parent``, its group and all that descend from it, also those in sessions of their own.

    Nothing is done where the PID is not that of a child of ``parent`` (any more). They are stopped before, until no
    further one appears, so that none forks or ends and leaves its children to others meanwhile. One whose parent had
    ended already (a daemon) descends from who adopted it: it is not found. Raises KernelError.
    """
    found: dict[int, int] = {}
    try:
        while new := {each: at for each, at in _descent(pid, parent).items() if each not in found}:
            for each, started in new.items():
                try:
                    found[each] = open_process(each, started)
                except KernelError as error:
                    if error.errno != errno.ESRCH:
                        raise
                else:
                    send_signal(found[each], signals.SIGSTOP)
        for pidfd in found.values():
            send_signal(pidfd, signals.SIGKILL)
    finally:
        for pidfd in found.values():
            os.close(pidfd)


def _descent(pid: int, parent: int) -> dict[int, int]:
    """That child of ``parent``, its group and its descendants, as /proc shows them now, and when each began.

    The dead that nobody has waited for are none.
    """
    known = {each: stat_fields(each) for each in pids()}
    living = {each: fields for each, fields in known.items() if _is_alive(fields)}
    if pid not in living or int(living[pid][1]) != parent:
        return {}
    found = [pid, *(each for each, fields in living.items() if int(fields[2]) == pid and each != pid)]
    for each in found:  # it grows meanwhile
        found += [child for child, fields in living.items() if int(fields[1]) == each and child not in found]
    return {each: int(living[each][19]) for each in found}


def command(pid: int) -> str:
    """The process's name as ``ps`` shows it, empty where it is gone."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as handle:
            return handle.read().rstrip(b"\n").decode("utf-8", "replace")
    except OSError:
        return ""


def pids() -> list[int]:
    """Every process that /proc shows."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
