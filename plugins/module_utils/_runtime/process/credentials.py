# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who the container's process is when its program starts: IDs, capabilities, no_new_privs, seccomp, descriptors."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from _frozen_importlib import BuiltinImporter  # importlib.machinery itself would cost the start path time

from ..._kernel import capabilities, libc, openat2, seccomp
from ..._kernel.errors import KernelError
from ..bundle.spec import Process
from ..errors import RuntimeFailure

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
_KEYCTL_JOIN_SESSION_KEYRING = 1
#: How much of /etc/passwd is read: it is the image's, and may be anything.
_PASSWD_MAX = 1024 * 1024


def become_root_of_user_namespace() -> None:
    """IDs 0 of the user namespace that the process is in; it has all capabilities there already."""
    try:
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    except OSError as error:
        raise KernelError.wrap(error, "setresuid", hint="The user namespace must map ID 0") from None


def not_inspectable() -> None:
    """Nobody in the container may look into this process (its memory, its descriptors, /proc/PID/exe) before it is
    the container's own program; execve(2) sets the flag back."""
    libc.call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


def import_nothing_more() -> None:
    """From now on a module that is not loaded yet cannot be: inside a container its file would be the container's."""
    sys.meta_path[:] = [BuiltinImporter]


def new_session_keyring() -> None:
    """Keys of the host's session are not the container's: keyrings(7) are no namespace. An anonymous new one."""
    try:
        libc.syscall("keyctl", libc.number("keyctl"), _KEYCTL_JOIN_SESSION_KEYRING, None)
    except KernelError as error:
        if error.errno != errno.ENOSYS:  # a kernel without keys has none to leak
            raise


def apply(process: Process, program: bytes | None, seccomp_flags: int) -> None:
    """Give up everything that the process is not to have: become() and forbid(). Raises KernelError."""
    if program is not None and not process.no_new_privileges:
        # Loading needs CAP_SYS_ADMIN where no_new_privs is off, so it comes before that is given up.
        seccomp.install(program, seccomp_flags)
    become(process)
    forbid(process, program, seccomp_flags)


def become(process: Process) -> None:
    """The umask, IDs and capabilities of the process. Raises KernelError."""
    wanted = process.capabilities
    if process.umask is not None:
        os.umask(process.umask)
    else:
        os.umask(0o022)
    capabilities.limit_bounding_set(wanted["bounding"])
    capabilities.keep_across_setuid(True)
    _set_ids(process)
    capabilities.keep_across_setuid(False)
    capabilities.capset(wanted["effective"], wanted["permitted"], wanted["inheritable"])
    capabilities.set_ambient(wanted["ambient"])
    not_inspectable()  # other IDs take that back where fs.suid_dumpable is set


def forbid(process: Process, program: bytes | None, seccomp_flags: int) -> None:
    """no_new_privs, and with it the seccomp policy; neither needs a capability then. Raises KernelError."""
    if process.no_new_privileges:
        libc.call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if program is not None:
            seccomp.install(program, seccomp_flags)


def _set_ids(process: Process) -> None:
    try:
        os.setgroups(list(process.groups))
        os.setresgid(process.gid, process.gid, process.gid)
        os.setresuid(process.uid, process.uid, process.uid)
    except OSError as error:
        hint = f"UID {process.uid}, GID {process.gid} and groups {list(process.groups)} must be mapped"
        raise KernelError.wrap(error, "setresuid", hint=hint) from None


#: Signals that glibc uses for threads and lets nobody set (nptl(7)); an ignored one would be handed on all the same.
_LIBCS_OWN = (32, 33)
#: Bytes of the kernel's struct sigaction (at least; it is all zero) and of its signal set.
_SIGACTION, _SIGSET = 64, 8


def reset_signals() -> None:
    """Default actions and an empty mask, whatever Python and those before it ignored: exec would hand that on."""
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):  # SIGKILL, SIGSTOP, and those that libc keeps for itself
            signal.signal(number, signal.SIG_DFL)
    default = bytes(_SIGACTION)  # all zero: SIG_DFL, no flags, an empty mask
    for number in _LIBCS_OWN:
        libc.syscall("rt_sigaction", libc.number("rt_sigaction"), number, default, None, _SIGSET)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def enter_cwd(cwd: str) -> None:
    """chdir(2), and proof that it is inside: a descriptor leaked from the host could lead out (CVE-2024-21626)."""
    try:
        os.chdir(cwd)
    except OSError as error:
        raise RuntimeFailure(f"process.cwd: {cwd!r}: {error.strerror}", 126) from None
    try:
        inside = os.getcwd().startswith("/")
    except OSError:  # glibc's ENOENT, for what the kernel calls unreachable
        inside = False
    if not inside:
        raise RuntimeFailure(f"process.cwd: {cwd!r}: is outside the container", 126)


def find_program(process: Process) -> str:
    """The program's path: searched in the container's own PATH, as execvp(3) does. Raises RuntimeFailure."""
    name = process.args[0]
    if "/" in name:
        return name
    path = next((e[5:] for e in process.env if e.startswith("PATH=")), "/usr/local/bin:/usr/bin:/bin")
    denied = False
    for directory in path.split(":"):
        candidate = f"{directory or '.'}/{name}"
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            denied = True
    if denied:
        raise RuntimeFailure(f"process.args: {name!r}: permission denied", 126)
    raise RuntimeFailure(f"process.args: {name!r}: no such program in PATH ({path})", 127)


def with_home(process: Process) -> Process:
    """HOME, where it is not given: of the container's /etc/passwd, else "/". What runc and crun do, so images rely on
    it."""
    if any(entry.startswith("HOME=") for entry in process.env):
        return process
    home = "/"
    for line in (_passwd() or b"").split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 6 and fields[2] == str(process.uid).encode() and fields[5].startswith(b"/"):
            home = os.fsdecode(fields[5])
            break
    return process._replace(env=(*process.env, f"HOME={home}"))


def _passwd() -> bytes | None:
    try:
        root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return openat2.read_regular(root_fd, "etc/passwd", _PASSWD_MAX)
        finally:
            os.close(root_fd)
    except OSError:
        return None


def execute(process: Process, program: str) -> None:
    """execve(2). Raises RuntimeFailure with the status that shells use: 127 not found, 126 cannot be run."""
    environment = dict(entry.partition("=")[::2] for entry in process.env if "=" in entry)
    try:
        os.execve(program, list(process.args), environment)
    except OSError as error:
        said = error.strerror
        if error.errno == 8:
            said = "it is not a program for this machine, and has no #! line (ENOEXEC)"
        elif error.errno == 2 and os.path.exists(program):
            said = "the interpreter or loader that it names does not exist"
        raise RuntimeFailure(f"process.args: {program!r}: {said}", 127 if error.errno == 2 else 126) from None
