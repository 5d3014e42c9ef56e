# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""clone3(2), unshare(2) and setns(2): processes and the namespaces they are born in or move to.

The container launcher imports this file on its start path.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal

from . import libc
from .errors import KernelError

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000


class _CloneArgs(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("pidfd", ctypes.c_uint64),
        ("child_tid", ctypes.c_uint64),
        ("parent_tid", ctypes.c_uint64),
        ("exit_signal", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("stack_size", ctypes.c_uint64),
        ("tls", ctypes.c_uint64),
        ("set_tid", ctypes.c_uint64),
        ("set_tid_size", ctypes.c_uint64),
        ("cgroup", ctypes.c_uint64),
    ]


def clone3(flags: int = 0, cgroup_fd: int | None = None) -> tuple[int, int]:
    """Like os.fork(), with CLONE_* flags; returns (pid, pidfd) in the parent and (0, -1) in the child.

    The pidfd is close-on-exec. cgroup_fd: a descriptor of the cgroup directory that the child is born in. With
    CLONE_PARENT the child is our parent's child (and cannot have an exit signal of its own). Only for a process with
    one thread: the child has only the calling one. Raises KernelError.
    """
    pidfd = ctypes.c_int(-1)
    args = _CloneArgs(flags=flags | CLONE_PIDFD, pidfd=ctypes.addressof(pidfd))
    if not flags & CLONE_PARENT:
        args.exit_signal = signal.SIGCHLD
    if cgroup_fd is not None:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = cgroup_fd
    try:
        pid = _fork("clone3", libc.NR_clone3, ctypes.byref(args), ctypes.sizeof(args))
    except KernelError as error:
        error.hint = _ADVICE.get(error.errno or 0, error.hint)
        raise
    if pid == 0:
        return 0, -1
    os.set_inheritable(pidfd.value, False)
    return pid, pidfd.value


def clone(flags: int) -> int:
    """Like clone3() by clone(2), whose flags a seccomp policy can see; the PID, 0 in the child. Raises KernelError."""
    # Four more arguments, in an order that is the machine's: all are none.
    try:
        return _fork("clone", libc.number("clone"), flags, 0, 0, 0, 0)
    except KernelError as error:
        if error.errno == errno.EAGAIN:
            error.hint = _ADVICE[errno.EAGAIN]
        raise


def _fork(name: str, number: int, *arguments: object) -> int:
    """The call, and what os.fork() does around fork(2), so that the interpreter in the child is whole."""
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = -1
    try:
        pid = libc.syscall(name, number, *arguments)
    finally:
        if pid == 0:
            ctypes.pythonapi.PyOS_AfterFork_Child()
        else:
            ctypes.pythonapi.PyOS_AfterFork_Parent()
    return pid


def unshare(flags: int) -> None:
    """unshare(2): new namespaces for the calling process (PID and time: for its children). Raises KernelError."""
    libc.call("unshare", flags)


def setns(fd: int, kinds: int = 0) -> None:
    """setns(2): into the namespace of an nsfs descriptor, or into several of a pidfd's process. Raises KernelError."""
    libc.call("setns", fd, kinds)


_ADVICE = {
    errno.ENOSPC: "Too many namespaces, or nested too deep: see the limits in /proc/sys/user",
    errno.EUSERS: "User namespaces are nested too deep",
    errno.EAGAIN: "The limit of processes (RLIMIT_NPROC, pids.max or kernel.pid_max) is reached",
    errno.EPERM: "Making namespaces needs root, and user namespaces need user.max_user_namespaces above 0",
    errno.EBUSY: "The cgroup has enabled controllers for its children, so it cannot hold processes itself",
    errno.EOPNOTSUPP: "The cgroup is in an invalid domain state: see its cgroup.type",
}
