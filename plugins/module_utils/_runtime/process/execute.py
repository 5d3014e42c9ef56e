# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""exec: one more process in a running container, with the credentials that its own process has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..._kernel import clone, process
from ..._kernel.errors import BareKernelError
from ..bundle import seccomp_filter, spec
from ..bundle.spec import NAMESPACES, Process
from ..errors import BundleError, RuntimeFailure
from . import cgroups, credentials, descriptors, pipes, state
from .create import limit, reap
from .init import trace
from .lifeline import Lifeline
from .state import Container

#: /proc/PID/ns/NAME of each type, namespaces(7).
_FILES = {"network": "net", "mount": "mnt"}
#: What of our caller's environment the interpreter and its libraries may need to be found.
_OF_THE_CALLER = ("PATH", "LD_LIBRARY_PATH")


class Request(NamedTuple):
    """What to run and how.

    console: the module of that name where a terminal is asked for (inside the container nothing can be imported any
    more), console_fd: the socket to whoever takes the terminal. preserve_fds: further descriptors that it gets.
    stdio: descriptors for 0, 1 and 2 instead of the runtime's own.
    """

    process: Process
    console: Any = None
    console_fd: int | None = None
    preserve_fds: tuple[int, ...] = ()
    stdio: tuple[int, int, int] | None = None


class Place(NamedTuple):
    """Where it runs: a cgroup, and ``kinds`` (CLONE_NEW*) of the namespaces of the process that ``pidfd`` holds.

    ``runtime`` is our own pidfd: the process ends with us as long as it is not the program yet.
    """

    pidfd: int
    kinds: int
    cgroup_fd: int | None
    runtime: int


class Policy(NamedTuple):
    """The container's seccomp policy, compiled; None where it has none.

    early: whether it lets the process be made when it holds already.
    """

    program: bytes | None
    flags: int
    early: bool


def base_process(container: Container) -> dict[str, Any]:
    """The container's own ``process``, of which a command line changes what it names; never its terminal."""
    wanted = dict(state.read_config(container).get("process") or {})
    wanted["terminal"] = False
    return wanted


def capabilities_of(container: Container, uid: int) -> dict[str, Any]:
    """``process.capabilities`` for a user of the container: root has what the container may have at all, whoever its
    own process is. Empty where that has none."""
    sets = dict(base_process(container).get("capabilities") or {})
    if uid == 0 and sets:
        sets.update(effective=sets.get("bounding") or [], permitted=sets.get("bounding") or [])
    return sets


def seal_for(container: Container) -> None:
    """Begin again from a safe copy of the interpreter, if the container could write to this one (seal.py).

    Without our caller's environment, of which we need nothing: who can do that may read it in the memory of the process
    that joins, too.
    """
    from . import seal

    own = "user" in {found.kind for found in spec.namespaces(state.read_config(container))}
    kept = {name: value for name, value in os.environ.items() if name in _OF_THE_CALLER}
    seal.ensure_for(seal.ids_of_process(container.pid, container.start_time) if own else None, kept)


def start(container: Container, request: Request) -> int:
    """Start the process; returns its PID once its program runs. Raises RuntimeFailure, KernelError."""
    status = container.status()
    if status not in (state.RUNNING, state.CREATED):
        raise RuntimeFailure(f"container {container.id!r} is {status}: a process can join only a running one")
    config = state.read_config(container)
    policy = _policy(config)
    with contextlib.ExitStack() as stack:
        place = _place(container, config, stack)
        line = Lifeline()
        stack.callback(line.close)
        try:
            pid, pidfd = _join(request, place, policy, line)
        except BareKernelError as error:
            raise (_ended(container) if process.has_ended(place.pidfd) else error) from None
        stack.callback(os.close, pidfd)
        try:
            limit(pid, pidfd, _limits(request.process, visible=True))
            line.let_go()
            failure = line.end()
        except BaseException:
            process.send_signal(pidfd, 9)
            reap(pid, False)
            raise
        if failure is not None:
            reap(pid, False)
            raise failure
        return pid


def _policy(config: Any) -> Policy:
    policy = (config.get("linux") or {}).get("seccomp")
    if not policy:
        return Policy(None, 0, True)
    return Policy(seccomp_filter.program(policy), seccomp_filter.flags(policy), _joins_under(policy))


#: What is done between the loading of the policy and execve(2), besides clone(2), and what the C library and the
#: interpreter may need for it.
_UNDER_THE_POLICY = (
    "brk close execve exit_group futex getpid gettid ioctl madvise mmap mprotect munmap prctl read rt_sigaction "
    "rt_sigprocmask set_robust_list setsid uname write"
).split()


def _joins_under(policy: Mapping[str, Any]) -> bool:
    """Whether the process that the container sees can be made with the policy loaded already."""
    return seccomp_filter.allows(policy, "clone", clone.CLONE_PARENT) and all(
        seccomp_filter.allows(policy, name) for name in _UNDER_THE_POLICY
    )


def _join(request: Request, place: Place, policy: Policy, line: Lifeline) -> tuple[int, int]:
    """Run the stage; the PID and pidfd of the process that it made. Raises RuntimeFailure, KernelError.

    The stage is born in the container's cgroup and stays in our PID namespace, where the container cannot see it.
    """
    stage, stage_pidfd = clone.clone3(0, place.cgroup_fd)
    if stage == 0:
        line.other_side()
        _guarded(lambda: _stage(request, line, place, policy), line)
    line.runtime_side()
    try:
        line.wait_ready()
        limit(stage, stage_pidfd, _limits(request.process, visible=False))
        if not request.process.terminal:
            user = request.process.uid, request.process.gid
            pipes.give(request.stdio or pipes.OWN, stage, process.start_time(stage), *user)
        line.let_go()
    except BaseException:
        process.send_signal(stage_pidfd, 9)
        raise
    finally:
        reap(stage, False)
        os.close(stage_pidfd)
    pid = line.made()
    if not pid:
        raise line.end() or RuntimeFailure("the process that joins the container ended before it was ready")
    return pid, process.pidfd_open(pid)  # our child: its PID is its own until we wait for it


def _limits(wanted: Process, visible: bool) -> Process:
    """Of the process those limits that are set before the container can see it, or after.

    After: the number of processes. It counts all of a user's: with the stage, one of his by then, he could have one
    less. The moment without it gives nothing away, as it does not hold root, whom pids.max holds.
    """
    number = spec.RLIMITS["RLIMIT_NPROC"]
    chosen = tuple(found for found in wanted.rlimits if (found[0] == number) is visible)
    return wanted._replace(rlimits=chosen, oom_score_adj=None if visible else wanted.oom_score_adj)


def _place(container: Container, config: Any, stack: contextlib.ExitStack) -> Place:
    """What the stack closes again.

    Everything is opened first, and only then is it asked whether the container's init still lives: had it ended, its
    PID and its cgroup could be another's. What happens to it later is the kernel's to say: setns(2) by a pidfd joins
    all namespaces of a process or fails (ESRCH), and a PID namespace without init takes nobody in (ENOMEM).
    Raises RuntimeFailure.
    """

    def opened(fd: int) -> int:
        stack.callback(os.close, fd)
        return fd

    try:
        pidfd = opened(process.open_process(container.pid, container.start_time))
        cgroup_fd = opened(cgroups.open_directory(container.cgroup)) if container.cgroup else None
        with process.entry(container.pid, container.start_time) as entry:
            kinds = _kinds(config, entry)
    except OSError as error:  # a KernelError is one, too
        if container.alive():
            raise
        raise _ended(container) from error
    if process.has_ended(pidfd):
        raise _ended(container)
    return Place(pidfd, kinds, cgroup_fd, opened(process.pidfd_open(os.getpid())))


def _ended(container: Container) -> RuntimeFailure:
    return RuntimeFailure(f"container {container.id!r} has just ended: a process can join only a running one")


def _kinds(config: Any, entry: int) -> int:
    """The flags of the namespaces to join of the process whose /proc/PID ``entry`` is.

    Those that the container was made with, whatever is found there. Any other one too that is not ours: it was made by
    a runtime that ran elsewhere. One that is missing is none of ours (FileNotFoundError). Raises RuntimeFailure.
    """
    declared = {found.kind for found in spec.namespaces(config)}
    if "mount" not in declared:
        raise RuntimeFailure("config.json of the container names no mount namespace: it was damaged")
    flags = 0
    for kind, flag in NAMESPACES.items():
        name = f"ns/{_FILES.get(kind, kind)}"
        if not os.path.exists(f"/proc/self/{name}"):
            continue  # a kernel without that type
        theirs, ours = os.stat(name, dir_fd=entry), os.stat(f"/proc/self/{name}")
        if kind in declared or (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino):
            flags |= flag
    return flags


def _stage(request: Request, line: Lifeline, place: Place, policy: Policy) -> None:
    """Join, and become whom the container may take over: only then is the process made that it can see.

    With CAP_SYS_PTRACE and without a user namespace its root can seize that one from its first moment on, whatever
    PR_SET_DUMPABLE says, and take descriptors by any pidfd that it finds there (ptrace(2), pidfd_getfd(2)).
    """
    credentials.not_inspectable()
    credentials.import_nothing_more()
    kept = (*line.filenos(), *request.preserve_fds)
    further = descriptors.given(place.runtime, place.pidfd, request.console_fd, *(request.stdio or ()))
    descriptors.close_all_but((*kept, *further))
    # We are in its cgroup: else nobody gets into it from within the cgroup namespace, where systemd mounts with
    # nsdelegate (cgroup-v2.rst, "Delegation Containment"). The PID namespace is that of our children.
    clone.setns(place.pidfd, place.kinds)
    os.setsid()  # a terminal of our caller is not the container's
    credentials.new_session_keyring()
    if place.kinds & clone.CLONE_NEWUSER:
        credentials.become_root_of_user_namespace()
    process.end_with(place.runtime)  # whatever may hold us on the way to the program
    _standard(request)
    # From here on paths are the container's to choose.
    descriptors.close_all_but(kept)
    credentials.enter_cwd(request.process.cwd)
    wanted = credentials.with_home(request.process)
    path = credentials.find_program(wanted)
    line.ready()  # the runtime sets limits
    line.begin_alone()
    credentials.reset_signals()
    if policy.early:
        credentials.apply(wanted, policy.program, policy.flags)
    elif wanted.no_new_privileges:
        credentials.become(wanted)
    pid = clone.clone(clone.CLONE_PARENT)
    if pid == 0:
        _guarded(lambda: _become_program(request, wanted, path, line, None if policy.early else policy), line)
    line.tell_made(pid)
    os._exit(0)


def _become_program(request: Request, wanted: Process, path: str, line: Lifeline, late: Policy | None) -> None:
    """What is left to do for the process that the container can see."""
    line.wait()
    os.setsid()
    if wanted.terminal:
        request.console.take(0)
    if late is not None and wanted.no_new_privileges:
        credentials.forbid(wanted, late.program, late.flags)
    elif late is not None:
        credentials.apply(wanted, late.program, late.flags)
    credentials.execute(wanted, path)


def _standard(request: Request) -> None:
    """Standard input, output and error of the process, before anybody can see it: not those of our caller."""
    fds = request.stdio
    if request.process.terminal:
        slave = _open_terminal(request)
        fds = (slave, slave, slave)
    for number, fd in enumerate(fds or ()):
        os.dup2(fd, number)


def _open_terminal(request: Request) -> int:
    """The slave of a terminal of the container; the master is given away."""
    console = request.console
    if console is None or request.console_fd is None:
        raise RuntimeFailure("process.terminal: a terminal is asked for and there is nobody to give it to")
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    master, slave = console.open_pair(root_fd, request.process.console_size)
    console.send(request.console_fd, master)
    os.close(master)
    os.close(root_fd)
    return int(slave)


def _guarded(action: Any, line: Lifeline) -> None:
    """Any error is told to the runtime; the process ends in any case."""
    try:
        action()
    except (BareKernelError, OSError) as error:
        line.fail(str(error), getattr(error, "status", 1))
    except BaseException:
        line.fail(trace())
    os._exit(1)


def process_from(container: Container, document: Any, args: list[str], changes: dict[str, Any]) -> Process:
    """``exec --process FILE`` or the command line's own words as a checked process. Raises BundleError."""
    wanted = dict(document) if document is not None else base_process(container)
    if args:
        wanted["args"] = args
    env = changes.pop("env", [])
    if env:
        names = {entry.partition("=")[0] for entry in env}
        kept = [entry for entry in wanted.get("env") or [] if entry.partition("=")[0] not in names]
        wanted["env"] = [*kept, *env]
    wanted.update(changes)
    if wanted.get("user") and not isinstance(wanted["user"], dict):
        raise BundleError("process.user", wanted["user"], "must be an object")
    return spec.parse_process(wanted)
