# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""exec: one more process in a running container, with the credentials that its own process has."""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from ..._kernel import clone, process
from ..._kernel.errors import BareKernelError
from ..bundle import seccomp_filter, spec
from ..bundle.spec import NAMESPACES, Process
from ..errors import BundleError, RuntimeFailure
from . import cgroups, credentials, descriptors, pipes, state
from .channel import Channel
from .create import limit, reap
from .init import trace
from .state import Container

#: /proc/PID/ns/NAME of each type, namespaces(7).
_FILES = {"network": "net", "mount": "mnt"}


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

    ``cgroup_namespace`` is a descriptor of its own, as that one is joined last; None where it is the host's.
    ``runtime`` is our own pidfd: the process ends with us as long as it is not the program yet.
    """

    pidfd: int
    kinds: int
    cgroup_namespace: int | None
    cgroup_fd: int | None
    runtime: int


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
    """Begin again from a safe copy of the interpreter, if the container could write to this one (seal.py)."""
    from . import seal

    own = "user" in {found.kind for found in spec.namespaces(state.read_config(container))}
    seal.ensure_for(seal.ids_of_process(container.pid, container.start_time) if own else None)


def start(container: Container, request: Request) -> int:
    """Start the process; returns its PID once its program runs. Raises RuntimeFailure, KernelError."""
    status = container.status()
    if status not in (state.RUNNING, state.CREATED):
        raise RuntimeFailure(f"container {container.id!r} is {status}: a process can join only a running one")
    config = state.read_config(container)
    policy = (config.get("linux") or {}).get("seccomp")
    program = seccomp_filter.program(policy) if policy else None
    flags = seccomp_filter.flags(policy) if policy else 0
    ours, theirs = Channel.pair()
    with contextlib.ExitStack() as stack:
        stack.callback(ours.close)
        place = _place(container, config, stack)
        stage, stage_pidfd = clone.clone3()
        if stage == 0:
            ours.close()
            _guarded(lambda: _stage(request, theirs, place, program, flags), theirs)
        os.close(stage_pidfd)
        theirs.close()
        try:
            pid, pidfd = ours.expect("init", "the process that joins the container")
            stack.callback(os.close, pidfd)
        except RuntimeFailure as error:
            raise (_ended(container) if process.has_ended(place.pidfd) else error) from None
        finally:
            reap(stage, False)
        try:
            limit(pid, pidfd, request.process)
            if not request.process.terminal:
                user = request.process.uid, request.process.gid
                pipes.give(request.stdio or pipes.OWN, pid, process.start_time(pid), *user)
            ours.send("go")
            kind, value = ours.receive()
        except BaseException:
            process.send_signal(pidfd, 9)
            reap(pid, False)
            raise
        if kind == "error":
            reap(pid, False)
            text, status_code = value if isinstance(value, list) else (value, 1)
            raise RuntimeFailure(str(text), int(status_code))
        return int(pid)


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
            last = kinds & clone.CLONE_NEWCGROUP
            last_fd = opened(os.open("ns/cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=entry)) if last else None
    except OSError as error:  # a KernelError is one, too
        if container.alive():
            raise
        raise _ended(container) from error
    if process.has_ended(pidfd):
        raise _ended(container)
    return Place(pidfd, kinds & ~last, last_fd, cgroup_fd, opened(process.pidfd_open(os.getpid())))


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


def _stage(request: Request, channel: Channel, place: Place, program: bytes | None, flags: int) -> None:
    credentials.not_inspectable()
    credentials.import_nothing_more()
    kept = descriptors.given(channel.fileno(), place.runtime, request.console_fd, *request.preserve_fds)
    kept += descriptors.given(place.cgroup_namespace, *(request.stdio or ()))
    descriptors.close_all_but((*kept, *descriptors.given(place.pidfd, place.cgroup_fd)))
    clone.setns(place.pidfd, place.kinds)
    pid, pidfd = clone.clone3(clone.CLONE_PARENT, place.cgroup_fd)
    if pid == 0:
        descriptors.close_all_but(kept)
        _guarded(lambda: _become_program(request, channel, place, program, flags), channel)
    channel.send_process("init", pid, pidfd)
    os._exit(0)


def _become_program(request: Request, channel: Channel, place: Place, program: bytes | None, flags: int) -> None:
    channel.expect("go", "the runtime")
    if place.cgroup_namespace is not None:
        # Only in its cgroup: systemd mounts the hierarchy with nsdelegate, and from within the namespace nobody gets
        # into a cgroup from outside of it then (cgroup-v2.rst, "Delegation Containment").
        clone.setns(place.cgroup_namespace)
    os.setsid()
    credentials.new_session_keyring()
    if place.kinds & clone.CLONE_NEWUSER:
        credentials.become_root_of_user_namespace()
    process.end_with(place.runtime)  # whatever may hold us on the way to the program
    if request.process.terminal:
        _take_terminal(request)
    elif request.stdio is not None:
        for number, fd in enumerate(request.stdio):
            os.dup2(fd, number)
    # From here on paths are the container's to choose.
    descriptors.close_all_but((channel.fileno(), *request.preserve_fds))
    credentials.enter_cwd(request.process.cwd)
    process_ = credentials.with_home(request.process)
    path = credentials.find_program(process_)
    process.end_with_nobody()  # before the seccomp policy, which may not allow it
    credentials.reset_signals()
    credentials.apply(process_, program, flags)
    credentials.execute(process_, path)


def _take_terminal(request: Request) -> None:
    console = request.console
    if console is None or request.console_fd is None:
        raise RuntimeFailure("process.terminal: a terminal is asked for and there is nobody to give it to")
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    master, slave = console.open_pair(root_fd, request.process.console_size)
    console.send(request.console_fd, master)
    os.close(master)
    os.close(root_fd)
    console.take(slave)


def _guarded(action: Any, channel: Channel) -> None:
    try:
        action()
    except (BareKernelError, OSError) as error:
        channel.send("error", [str(error), getattr(error, "status", 1)])
    except BaseException:
        channel.send("error", [trace(), 1])
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
