# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cgroup v2 directories and control files: the calls that change them, and the few reads these need.

Kernel documentation: Documentation/admin-guide/cgroup-v2.rst. Paths are absolute directories inside a cgroup2 mount.
The container launcher imports this file: it needs nothing but what costs under a millisecond to import
(what is read for planning lives in cgroup_state.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from collections.abc import Iterator

from . import locations
from .errors import Busy, KernelError
from .process import command, has_ended, open_process, owner_of, pidfd_open, send_signal

#: What our mark on a cgroup says: someone asked for it, or it was made on the way to one that was asked for.
DECLARED = "declared"
IMPLIED = "implied"
#: On a cgroup that is not ours: the controllers that we enabled for its children.
ENABLED_XATTR = locations.MARK_XATTR + ".controllers"
#: Files that take one line a write; a value of several lines is written line by line.
_LINE_BY_LINE = ("io.max", "io.weight", "io.latency", "io.bfq.weight", "io.cost.qos", "io.cost.model", "rdma.max")
#: How long freezing and dying may take, in seconds: an uninterruptible process can hold either up, e.g. one that waits
#: for a slow disk.
PATIENCE = 30.0


def read(path: str, name: str) -> str | None:
    """A control file without its last newline, None where there is no such file (or cgroup). Raises KernelError."""
    try:
        fd = os.open(f"{path}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while part := os.read(fd, 65536):
                parts.append(part)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR):
            return None
        raise KernelError.wrap(error, "read", f"{path}/{name}") from error
    return b"".join(parts).decode("utf-8", "surrogateescape").rstrip("\n")


def write(path: str, name: str, value: str, hint: str = "") -> None:
    """Set a control file; the error of a refused value is that of write(2) itself. Raises KernelError."""
    file = f"{path}/{name}"
    lines = value.splitlines() if name in _LINE_BY_LINE else [value]
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        absent = (
            "The kernel has no such file, or the cgroup lacks its controller" if error.errno == errno.ENOENT else ""
        )
        raise KernelError.wrap(error, "open", file, hint or absent) from error
    try:
        for line in lines:
            os.write(fd, line.encode() + b"\n")
    except OSError as error:
        raise KernelError.wrap(error, "write", file, hint or f"The value was {line!r}") from error
    finally:
        os.close(fd)


def make(path: str, mark: str = DECLARED) -> bool:
    """mkdir(2) of one cgroup, marked as ours; one of ours that exists is marked anew, a foreign one left alone.

    Returns whether it is a new one. Raises KernelError.
    """
    try:
        os.mkdir(path, 0o755)
        os.setxattr(path, locations.MARK_XATTR, mark.encode())
        return True
    except FileExistsError as error:
        if not os.path.isdir(path):
            raise KernelError.wrap(error, "mkdir", path) from error
        if mark_of(path) == IMPLIED and mark == DECLARED:
            os.setxattr(path, locations.MARK_XATTR, mark.encode())
        return False
    except OSError as error:
        full = "cgroup.max.depth or cgroup.max.descendants of a parent forbids more"
        hint = full if error.errno == errno.EAGAIN else ""
        raise KernelError.wrap(error, "mkdir", path, hint) from error


def mark_of(path: str) -> str | None:
    """DECLARED or IMPLIED where the cgroup is ours, None where it bears no mark of ours or does not exist."""
    return _xattr(path, locations.MARK_XATTR)


def enabled_by_us(path: str) -> tuple[str, ...]:
    """Controllers that we enabled for the children of a cgroup that is not ours."""
    return tuple(sorted((_xattr(path, ENABLED_XATTR) or "").split()))


def enable_controllers(path: str, controllers: tuple[str, ...]) -> None:
    """Enable controllers for the children of a cgroup. In a cgroup that is not ours it is noted that we did.

    Raises Busy with the processes that forbid it (the "no internal processes" rule), KernelError.
    """
    if mark_of(path) is None:
        noted = " ".join(sorted({*enabled_by_us(path), *controllers}))
        try:
            os.setxattr(path, ENABLED_XATTR, noted.encode())
        except OSError as error:
            raise KernelError.wrap(error, "setxattr", path) from error
    try:
        write(path, "cgroup.subtree_control", " ".join("+" + name for name in controllers))
    except KernelError as error:
        if error.errno == errno.EBUSY:
            hint = "A cgroup with processes of its own cannot enable controllers for its children"
            raise Busy(errno.EBUSY, error.syscall, error.path, holders(path), hint) from None
        raise


def disable_controllers(path: str, controllers: tuple[str, ...]) -> None:
    """Disable controllers for the children of a cgroup, and forget that we had enabled them. Raises KernelError."""
    write(path, "cgroup.subtree_control", " ".join("-" + name for name in controllers))
    left = " ".join(name for name in enabled_by_us(path) if name not in controllers)
    try:
        if left:
            os.setxattr(path, ENABLED_XATTR, left.encode())
        elif _xattr(path, ENABLED_XATTR) is not None:
            os.removexattr(path, ENABLED_XATTR)
    except OSError as error:
        raise KernelError.wrap(error, "setxattr", path) from error


def processes(path: str, recursive: bool = False) -> tuple[int, ...]:
    """PIDs in a cgroup (with recursive also in those below it), as this PID namespace sees them; 0 is one it does not.

    A threaded cgroup has no list of processes (EOPNOTSUPP); its threads count for the domain above it.
    """
    found: list[int] = []
    for directory in subtree(path) if recursive else (path,):
        try:
            found += [int(word) for word in (read(directory, "cgroup.procs") or "").split()]
        except KernelError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
    return tuple(found)


def holders(path: str) -> tuple[str, ...]:
    """The processes in a cgroup and below it, as "PID command"; of a threaded one those whose threads are in it."""
    found = [pid for directory in subtree(path) for pid in processes(directory) or _owners(directory)]
    return named(tuple(dict.fromkeys(found)))


def _owners(path: str) -> tuple[int, ...]:
    threads = [int(word) for word in (read(path, "cgroup.threads") or "").split()]
    owners = [owner_of(thread) for thread in threads]
    return tuple(owner for owner in owners if owner is not None)


def named(pids: tuple[int, ...]) -> tuple[str, ...]:
    """Processes as people know them: "PID command"."""
    return tuple(f"{pid} {command(pid)}".rstrip() for pid in pids)


def subtree(path: str) -> tuple[str, ...]:
    """A cgroup and all below it, the deepest first; empty where it does not exist."""
    if not os.path.isdir(path):
        return ()
    return tuple(directory for directory, _subdirectories, _files in os.walk(path, topdown=False))


def populated(path: str) -> bool:
    """Whether any live process is in the cgroup or below it."""
    return _event(read(path, "cgroup.events") or "", "populated") == "1"


def attach(path: str, pid: int) -> None:
    """Move a process with all its threads into a cgroup. Raises KernelError."""
    hint = {
        errno.ESRCH: f"Process {pid} does not exist",
        errno.EBUSY: "The cgroup has enabled controllers for its children: attach to one of these",
        errno.EINVAL: "A kernel thread cannot be moved",
    }
    try:
        write(path, "cgroup.procs", str(pid))
    except KernelError as error:
        error.hint = hint.get(error.errno or 0, error.hint)
        raise


def attach_process(path: str, pid: int, started: int) -> None:
    """attach() of exactly the process that began at ``started`` (see process.start_time).

    Raises KernelError(ESRCH) where that one is over, even if its PID was used again.
    """
    pidfd = open_process(pid, started)
    try:
        attach(path, pid)
        # The PID can have changed hands only if the process we hold ended meanwhile.
        if has_ended(pidfd):
            raise KernelError(errno.ESRCH, "attach", path, f"Process {pid} ended meanwhile")
    finally:
        os.close(pidfd)


def cgroup_of(pid: int, mount: str) -> str | None:
    """The cgroup v2 directory that a process is in, None where the process is gone; mount: where cgroup2 is.

    Of one that has ended and waits to be reaped it is the last one, or the root's. Raises KernelError.
    """
    try:
        text = read(f"/proc/{pid}", "cgroup") or ""
    except KernelError as error:
        if error.errno != errno.ESRCH:  # it was reaped between open(2) and read(2)
            raise
        text = ""
    for line in text.splitlines():
        if line.startswith("0::"):
            return (mount + line[3:]).rstrip("/") or "/"
    return None


def freeze(path: str, frozen: bool, timeout: float = PATIENCE) -> None:
    """Freeze or thaw a cgroup and wait until the kernel says that all of it is. Raises KernelError(ETIMEDOUT).

    A cgroup below a frozen one stays frozen when it is thawed itself; that is not waited for.
    """
    write(path, "cgroup.freeze", "1" if frozen else "0")
    if frozen:
        _wait_frozen(path, timeout)


def _wait_frozen(path: str, timeout: float = PATIENCE) -> None:
    if not wait_for(path, "frozen", "1", timeout):
        hint = "A process in uninterruptible sleep holds it up: " + ", ".join(holders(path))
        raise KernelError(errno.ETIMEDOUT, "freeze", path, hint)


@contextlib.contextmanager
def paused(path: str) -> Iterator[None]:
    """Frozen while it lasts, if there is such a cgroup; one that is frozen anyway stays so. Raises KernelError.

    A child thaws it should this process be killed meanwhile: nobody else would know that it has to be.
    """
    asked = read(path, "cgroup.freeze")
    if asked != "0":
        if asked is not None:
            _wait_frozen(path)  # somebody has asked for it: it may still have processes that run
        yield
        return
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _thaw_at_the_end(path, reader, writer)
    os.close(reader)
    try:
        freeze(path, True)
        yield
    finally:
        os.close(writer)
        os.waitpid(child, 0)


def _thaw_at_the_end(path: str, reader: int, writer: int) -> None:
    """The child's whole life: the pipe ends when its parent closes it or ends itself."""
    try:
        os.setsid()  # what ends the parent's process group is not for us
        os.close(writer)
        os.read(reader, 1)
        write(path, "cgroup.freeze", "0")
    finally:
        os._exit(0)


def kill(path: str, timeout: float = PATIENCE) -> None:
    """SIGKILL every process in a cgroup and below it, frozen ones too, and wait until it is empty.

    cgroup.kill exists since Linux 5.14; before, the cgroup is frozen so that no process forks away.
    Raises Busy naming what does not die.
    """
    try:
        write(path, "cgroup.kill", "1")
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        if not os.path.isdir(path):
            return
        _kill_one_by_one(path)
    if not wait_for(path, "populated", "0", timeout):
        hint = "They are in uninterruptible sleep or a tracer holds them"
        raise Busy(errno.EBUSY, "kill", path, holders(path), hint)


def _kill_one_by_one(path: str) -> None:
    write(path, "cgroup.freeze", "1")
    wait_for(path, "frozen", "1")
    signal_all(path, signal.SIGKILL)
    write(path, "cgroup.freeze", "0")


def signal_all(path: str, number: int) -> None:
    """Send a signal to every process in a cgroup and below it, and to none that only got the PID of one that ended.

    One that this PID namespace does not see gets none. Raises KernelError.
    """
    held: dict[int, int] = {}
    try:
        for pid in processes(path, recursive=True):
            if pid:  # kill(2) would take 0 for our own process group
                with contextlib.suppress(KernelError):  # it has just ended
                    held[pid] = pidfd_open(pid)
        # Held, and in the cgroup still: while a process lives its PID is nobody else's.
        for pid in processes(path, recursive=True) if held else ():
            if pid in held and not has_ended(held[pid]):
                send_signal(held[pid], number)
    finally:
        for pidfd in held.values():
            os.close(pidfd)


def remove(path: str, recursive: bool = False) -> None:
    """rmdir(2) of a cgroup, with recursive of all below it first; one that is gone is fine. Raises Busy."""
    for directory in subtree(path) if recursive else (path,):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno == errno.EBUSY:
                hint = "It has child cgroups, or processes that are just ending"
                raise Busy(errno.EBUSY, "rmdir", directory, holders(directory), hint) from None
            raise KernelError.wrap(error, "rmdir", directory) from error


def wait_for(path: str, key: str, value: str, timeout: float = PATIENCE) -> bool:
    """Wait until cgroup.events reads "key value"; the kernel wakes us (POLLPRI). A removed cgroup is empty.

    Returns False when the time (seconds) is up.
    """
    deadline = time.monotonic() + timeout
    try:
        fd = os.open(f"{path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return (key, value) == ("populated", "0")
    try:
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        while True:
            # Reading first arms the notification: poll() reports changes since the last read.
            if _event(os.pread(fd, 4096, 0).decode(), key) == value:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poller.poll(left * 1000)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return (key, value) == ("populated", "0")
        raise KernelError.wrap(error, "poll", f"{path}/cgroup.events") from error
    finally:
        os.close(fd)


def _event(text: str, key: str) -> str | None:
    pairs = (line.partition(" ") for line in text.splitlines())
    return next((value for name, _space, value in pairs if name == key), None)


def _xattr(path: str, name: str) -> str | None:
    try:
        return os.getxattr(path, name).decode()
    except OSError:
        return None
