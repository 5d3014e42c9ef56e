# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""create and start, seen from the runtime's side. runtime.md, Lifecycle."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..._kernel import clone, files, process
from ..._kernel.errors import KernelError
from ..bundle import device_rules, resources, seccomp_filter, spec
from ..bundle.spec import Process, Spec
from ..errors import BundleError, RuntimeFailure
from . import cgroups, clock, mounting, state
from . import init as init_
from .channel import Channel
from .prepare import prepare
from .state import Container


class Request(NamedTuple):
    """What the command line, or the supervisor, asks for.

    stdio: descriptors for 0, 1 and 2 instead of the runtime's own. clone_parent: the init becomes a child of the
    runtime's parent (systemd). die_with_parent: init gets SIGKILL when the thread that created it ends.
    cgroup: the absolute path of the container's cgroup, instead of linux.cgroupsPath. limited: it is there, and has
    the limits of linux.resources.
    preserve_fds: further descriptors that the container gets. spec: the bundle's config.json where it was read already.
    """

    root: str
    id: str
    bundle: str
    console_fd: int | None = None
    stdio: tuple[int, int, int] | None = None
    clone_parent: bool = False
    die_with_parent: bool = False
    preserve_fds: tuple[int, ...] = ()
    cgroup: str | None = None
    spec: Spec | None = None
    limited: bool = False


def create(request: Request) -> Container:
    """Make the container; its init then waits for start(). Nothing is left when it fails.

    Raises BundleError, RuntimeFailure, KernelError.
    """
    bundle = os.path.realpath(request.bundle)
    wanted = request.spec or spec.load(bundle)
    _process_of(wanted)
    written = resources.control_files(wanted.resources)
    ruled = device_rules.given(wanted.resources)
    program = seccomp_filter.program(wanted.seccomp) if wanted.seccomp else None
    cgroup_path = request.cgroup or cgroups.path_for(wanted.cgroups_path, request.id)
    if cgroup_path is None and (written or ruled):
        named = [*sorted(written), *(["devices"] if ruled else [])]
        raise BundleError("linux.resources", named, "no cgroup2 file system is mounted on this host")
    directory = state.reserve(request.root, request.id)
    made: str | None = None
    try:
        if cgroup_path is not None and _make_cgroup(directory, cgroup_path, {} if request.limited else written):
            made = cgroup_path
        files.write_atomically(f"{directory}/config.json", files.read_text(f"{bundle}/config.json") or "", 0o600)
        return _launch(request, bundle, wanted, cgroup_path, program)
    except BaseException:
        with contextlib.suppress(KernelError, RuntimeFailure):
            if made is not None:
                cgroups.destroy(made)
        state.forget(request.root, request.id)
        raise


def _make_cgroup(directory: str, path: str, written: Mapping[str, str]) -> bool:
    """Whether this call made it: only then is it ours to remove when we fail.

    That is written down first, for ``delete --force`` after this process was killed.
    """
    if os.path.isdir(path):
        return cgroups.make(path, written)
    claim = f"{directory}/{state.CGROUP}"
    files.write_atomically(claim, path, 0o600)
    new = cgroups.make(path, written)
    if not new:  # somebody else made it meanwhile
        files.remove_file(claim)
    return new


def _process_of(wanted: Spec) -> Process:
    if wanted.process is None:
        raise BundleError("process", None, "is needed to create a container that can be started")
    return wanted.process


def _launch(request: Request, bundle: str, wanted: Spec, cgroup_path: str | None, program: bytes | None) -> Container:
    init_.preload(wanted, _process_of(wanted))
    with contextlib.ExitStack() as stack:
        plan = _plan(request, bundle, wanted, cgroup_path, program, stack)
        ours, theirs = Channel.pair()
        stack.callback(ours.close)
        pid, pidfd = _clone_stage(request, plan, ours, theirs)
        stack.callback(os.close, pidfd)
        try:
            return _complete(request, bundle, wanted, cgroup_path, plan, ours, pid, pidfd)
        except BaseException:
            process.send_signal(pidfd, 9)
            reap(pid, request.clone_parent)
            raise


def _plan(
    request: Request,
    bundle: str,
    wanted: Spec,
    cgroup_path: str | None,
    program: bytes | None,
    stack: contextlib.ExitStack,
) -> init_.Plan:
    """What init is to do, with all that it inherits open; the stack closes it here."""

    def opened(fd: int) -> int:
        stack.callback(os.close, fd)
        return fd

    directory = f"{request.root}/{request.id}"
    fifo = f"{directory}/{state.FIFO}"
    os.mkfifo(fifo, 0o600)
    document: dict[str, Any] = {"ociVersion": wanted.version, "id": request.id, "status": state.CREATING}
    document.update(bundle=bundle, annotations=dict(wanted.annotations))
    prepared = prepare(wanted)
    stack.callback(prepared.close)
    helper = mounting.begin(wanted, prepared.root_tree) if wanted.namespace("user") else None
    if helper is not None:
        stack.callback(helper.end)
    return init_.Plan(
        spec=wanted,
        process=_process_of(wanted),
        prepared=prepared,
        program=program,
        seccomp_flags=seccomp_filter.flags(wanted.seccomp) if wanted.seccomp else 0,
        cgroup_path=cgroup_path,
        cgroup_fd=opened(cgroups.open_directory(cgroup_path)) if cgroup_path else None,
        # Opened for both, a FIFO never blocks; init reads it, and ``start`` sees the reader go when exec closes it.
        fifo_fd=opened(os.open(fifo, os.O_RDWR | os.O_CLOEXEC)),
        error_fd=opened(os.open(f"{directory}/{state.EXEC_ERROR}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)),
        console_fd=request.console_fd,
        stdio=request.stdio,
        parent_pidfd=opened(process.pidfd_open(os.getpid())) if request.die_with_parent else None,
        preserve_fds=request.preserve_fds,
        helper=helper,
        state=document,
    )


def _clone_stage(request: Request, plan: init_.Plan, ours: Channel, theirs: Channel) -> tuple[int, int]:
    """Run the stage; returns init's PID and pidfd. Raises RuntimeFailure.

    With clone_parent both are others' children, who may reap them at any time: their PIDs are worth a pidfd only.
    """
    stage, stage_pidfd = clone.clone3(clone.CLONE_PARENT if request.clone_parent else 0)
    if stage == 0:
        ours.close()
        init_.stage(plan, theirs)
    theirs.close()
    try:
        kind, value = ours.receive()
        if kind == "user namespace":
            _write_maps(stage, stage_pidfd, plan.spec)
            ours.send("mapped")
            kind, value = ours.receive()
        if kind != "init":
            raise RuntimeFailure(str(value) if kind == "error" else f"the stage ended early ({kind or 'no message'})")
        pid, pidfd = value
        return int(pid), pidfd
    except BaseException:
        process.send_signal(stage_pidfd, 9)  # it may wait for our answer
        raise
    finally:
        os.close(stage_pidfd)
        reap(stage, request.clone_parent)


def reap(pid: int, foreign: bool) -> None:
    """Wait for a child that is ending, unless it is another process's (CLONE_PARENT)."""
    if not foreign:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _complete(
    request: Request,
    bundle: str,
    wanted: Spec,
    cgroup_path: str | None,
    plan: init_.Plan,
    ours: Channel,
    pid: int,
    pidfd: int,
) -> Container:
    """What only the host's root can do for init, then wait until it is ready."""
    limit(pid, pidfd, plan.process)
    document = {**plan.state, "pid": pid}
    _run_hooks(wanted, document, "prestart", "createRuntime")
    ours.send("go")
    ours.expect("ready", "the container's init")
    start_time = process.start_time(pid)
    if start_time is None or process.has_ended(pidfd):  # then it was somebody else's
        raise RuntimeFailure("the container's init was killed before it was ready")
    if cgroup_path is not None:
        # Not before: init has just made device nodes and opened a terminal. Its program does not run yet.
        device_rules.restrict(cgroup_path, wanted, plan.prepared.devices)
    container = Container(
        root=request.root,
        id=request.id,
        pid=pid,
        start_time=start_time,
        bundle=bundle,
        version=wanted.version,
        created=clock.now(),
        cgroup=cgroup_path,
        annotations=dict(wanted.annotations),
        hooks=any(wanted.hooks.values()),
    )
    state.write(container)
    return container


def limit(pid: int, pidfd: int, wanted: Process) -> None:
    """Resource limits and the OOM score: raising the one and lowering the other needs CAP_SYS_RESOURCE on the host."""
    if wanted.rlimits:
        _set_rlimits(pid, pidfd, wanted)
    if wanted.oom_score_adj is not None:
        try:
            _write_to(pid, pidfd, "oom_score_adj", str(wanted.oom_score_adj))
        except OSError as error:
            raise RuntimeFailure(f"process.oomScoreAdj: {wanted.oom_score_adj}: {error.strerror}") from None


def _write_to(pid: int, pidfd: int, name: str, text: str) -> None:
    """Write to a file in the /proc/PID of exactly that process. Raises OSError, RuntimeFailure where it has ended."""
    fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        _check_alive(pid, pidfd)  # then what was opened before is that process's, and stays so
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _check_alive(pid: int, pidfd: int) -> None:
    if process.has_ended(pidfd):
        raise RuntimeFailure(f"process {pid} was killed before it was the program")


def _set_rlimits(pid: int, pidfd: int, wanted: Process) -> None:
    """prlimit(2) knows PIDs alone: the process waits for us, so only who kills it just now could free its PID."""
    import resource

    _check_alive(pid, pidfd)
    for number, soft, hard in wanted.rlimits:
        limits = tuple(resource.RLIM_INFINITY if v >= 2**63 else v for v in (soft, hard))
        try:
            resource.prlimit(pid, number, limits)  # type: ignore[arg-type]
        except (OSError, ValueError) as error:
            name = next(n for n, v in spec.RLIMITS.items() if v == number)
            most = _limit_in_words(resource.getrlimit(number)[1])
            asked = ":".join(_limit_in_words(value) for value in (soft, hard))
            said = getattr(error, "strerror", None) or error
            message = f"{said}; the hard limit here is {most}, and only CAP_SYS_RESOURCE may raise it"
            raise RuntimeFailure(f"process.rlimits: {name} {asked}: {message}") from None


def _limit_in_words(value: int) -> str:
    return "unlimited" if value < 0 or value >= 2**63 else str(value)


def _write_maps(pid: int, pidfd: int, wanted: Spec) -> None:
    for name, maps in (("uid_map", wanted.uid_mappings), ("gid_map", wanted.gid_mappings)):
        lines = "".join(f"{m.container_id} {m.host_id} {m.size}\n" for m in maps)
        try:
            _write_to(pid, pidfd, name, lines)
        except OSError as error:
            prop = "linux." + name.replace("_map", "Mappings")
            raise BundleError(prop, lines.strip(), f"the kernel refused it: {error.strerror}") from None


def _run_hooks(wanted: Spec, document: dict[str, Any], *kinds: str) -> None:
    if any(wanted.hooks[kind] for kind in kinds):
        from ..bundle import hooks

        for kind in kinds:
            hooks.run(kind, wanted.hooks[kind], document)


def start(container: Container) -> None:
    """Let init run its program; returns when it runs. Raises RuntimeFailure with the reason when it could not."""
    fifo = f"{container.directory}/{state.FIFO}"
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise RuntimeFailure(f"container {container.id!r} is {container.status()}, not created") from None
    try:
        os.write(fd, b"\0")
        poll = select.poll()
        poll.register(fd, 0)  # POLLERR alone: the reader is gone, so exec happened, or the process ended
        poll.poll()
    finally:
        os.close(fd)
    files.remove_file(fifo)
    failure = files.read_text(f"{container.directory}/{state.EXEC_ERROR}")
    if failure:
        raise RuntimeFailure(failure)
    files.remove_file(f"{container.directory}/{state.EXEC_ERROR}")
    if container.hooks:
        wanted = spec.parse(state.read_config(container), container.bundle)
        _run_hooks(wanted, container.state(state.RUNNING), "poststart")
