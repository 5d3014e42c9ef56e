# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A declared container's process through its runtime: nsrun in this very process, or another one as a program."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable

from ..._kernel import cgroup, files, mount, process, spawn
from ..._kernel.errors import KernelError
from ..bundle import signals
from ..errors import NoSuchContainer, RuntimeFailure
from ..process import cgroups, create, end, pipes, state
from . import joined, record
from .launch import Launch

EMBEDDED = "nsrun"


def private_mounts() -> None:
    """A mount namespace of our own that follows the host's: what is mounted here is nobody else's business."""
    from ..._kernel import clone

    clone.unshare(clone.CLONE_NEWNS)
    mount.set_propagation("/", "slave", recursive=True)


def mount_rootfs(launch: Launch) -> None:
    """The container's overlay on bundle/rootfs, in the calling process's mount namespace. Raises KernelError.

    Device nodes of an image are nothing but names: what a container has of devices is mounted on its /dev.
    """
    if launch.rootfs is None:
        return
    from ..._kernel.mount_overlay import mount_overlay

    rootfs = launch.rootfs
    target = f"{launch.bundle}/rootfs"
    files.make_directory(target)
    mount_overlay(
        target,
        rootfs.lowerdirs,
        rootfs.upperdir,
        rootfs.workdir,
        options=[f"{key}={value}" if value else key for key, value in sorted(rootfs.options.items())],
        attributes=mount.MOUNT_ATTR_NODEV,
        source=f"barekernel:{launch.id}",
        idmap=rootfs.idmap,
    )


def unmount_rootfs(launch: Launch) -> None:
    """Take the overlay away, so that another may use its upper directory at once."""
    if launch.rootfs is not None:
        with contextlib.suppress(KernelError):
            mount.umount2(f"{launch.bundle}/rootfs")


def make_cgroup(launch: Launch) -> None:
    """The container's cgroup with its limits, before any process is in it. Raises RuntimeFailure, KernelError."""
    cgroups.make(launch.cgroup, launch.files)


def start(
    launch: Launch,
    stdio: tuple[int, int, int] | None,
    clone_parent: bool,
    die_with_parent: bool,
    created: Callable[[int, int], None] = lambda _pid, _start_time: None,
) -> tuple[int, int]:
    """Create and start; returns init's PID and start time, which both hold also when it has ended since.

    created: is called with both when init waits for the start and nothing of the program has run.
    Nothing is left when it fails. Raises RuntimeFailure, KernelError.
    """
    with joined.bundle(launch) as bundle:
        if launch.runtime != EMBEDDED:
            return _start_foreign(launch, bundle, stdio, created)
        return _start_embedded(launch, bundle, stdio, clone_parent, die_with_parent, created)


def _start_embedded(
    launch: Launch,
    bundle: str,
    stdio: tuple[int, int, int] | None,
    clone_parent: bool,
    die_with_parent: bool,
    created: Callable[[int, int], None],
) -> tuple[int, int]:
    request = create.Request(
        root=record.RUNTIME_ROOT,
        id=launch.id,
        bundle=bundle,
        stdio=stdio,
        clone_parent=clone_parent,
        die_with_parent=die_with_parent,
        cgroup=launch.cgroup,
        limited=True,  # make_cgroup()
    )
    container = create.create(request)
    try:
        _give_pipes(launch, stdio, container.pid, container.start_time)
        created(container.pid, container.start_time)
        create.start(container)
    except BaseException:
        end.delete(container, force=True)
        if not clone_parent:
            create.reap(container.pid, False)
        raise
    return container.pid, container.start_time


def _start_foreign(
    launch: Launch, bundle: str, stdio: tuple[int, int, int] | None, created: Callable[[int, int], None]
) -> tuple[int, int]:
    with tempfile.TemporaryDirectory(prefix="barekernel-") as directory:
        pid_file = f"{directory}/pid"
        _foreign(launch, "create", "--bundle", bundle, "--pid-file", pid_file, launch.id, stdio=stdio)
        pid = int(files.read_text(pid_file) or 0)
    try:
        started = _start_time_of(pid, launch.cgroup)
        _give_pipes(launch, stdio, pid, started)
        created(pid, started)
        _foreign(launch, "start", launch.id)
    except BaseException:
        _foreign(launch, "delete", "--force", launch.id, check=False)
        raise
    return pid, started


def _start_time_of(pid: int, path: str) -> int:
    """When the process began that the runtime names.

    What tells it from another one with its PID: nobody but us can reap it, or it is in the container's cgroup.
    Raises RuntimeFailure where it is neither, or has ended.
    """
    fields = process.stat_fields(pid)
    started = int(fields[19]) if fields else None
    its_own = bool(fields) and int(fields[1]) == os.getpid() or pid in cgroup.processes(path, recursive=True)
    if started is not None and its_own and process.alive(pid, started):
        return started
    raise RuntimeFailure(f"process {pid}, which the runtime names as the container's, is not in cgroup {path}")


def _give_pipes(launch: Launch, stdio: tuple[int, int, int] | None, pid: int, started: int) -> None:
    """Before its program starts. Another runtime does it from inside, where the host's pipes are nobody's to give."""
    user = ((files.read_json(f"{launch.bundle}/config.json") or {}).get("process") or {}).get("user") or {}
    pipes.give(stdio or pipes.OWN, pid, started, user.get("uid", 0), user.get("gid", 0))


def _foreign(launch: Launch, *words: str, stdio: tuple[int, int, int] | None = None, check: bool = True) -> None:
    """Run the other runtime; its messages go to a file, as the container keeps the standard descriptors."""
    with tempfile.TemporaryFile() as log:
        command = [launch.runtime, "--root", record.RUNTIME_ROOT, "--log", f"/proc/self/fd/{log.fileno()}", *words]
        stdin, stdout, stderr = stdio or (subprocess.DEVNULL, None, None)
        # Who tells systemd that the container runs is us; with that socket they would wait for the container to do it.
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        try:
            done = spawn.run(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                pass_fds=(log.fileno(),),
            )
        except OSError as error:
            raise RuntimeFailure(f"runtime: {launch.runtime!r}: {error.strerror}") from None
        if done.returncode and check:
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip()
            raise RuntimeFailure(f"{launch.runtime} {words[0]}: {said or f'exited with {done.returncode}'}")


def refusal(launch: Launch) -> str:
    """Why init could not run its program, in its own words; empty where it could, or its runtime keeps none."""
    if launch.runtime != EMBEDDED:
        return ""
    return files.read_text(f"{record.RUNTIME_ROOT}/{launch.id}/{state.EXEC_ERROR}") or ""


def clear(launch: Launch) -> None:
    """No process, no runtime state and no cgroup of the container is left. Raises Busy, KernelError."""
    if launch.runtime == EMBEDDED:
        try:
            end.delete(state.read(record.RUNTIME_ROOT, launch.id), force=True)
        except NoSuchContainer:
            state.forget(record.RUNTIME_ROOT, launch.id)
    else:
        with contextlib.suppress(RuntimeFailure):
            _foreign(launch, "delete", "--force", launch.id, check=False)
        with contextlib.suppress(OSError):  # others live there
            os.rmdir(record.RUNTIME_ROOT)
    joined.forget(launch.id)
    cgroups.destroy(launch.cgroup)


def signal(launch: Launch, pid: int, start_time: int | None, name: str) -> bool:
    """Send a signal to init if it is still that process; False where it is gone."""
    try:
        pidfd = process.open_process(pid, start_time)
    except KernelError:
        return False
    try:
        return process.send_signal(pidfd, signals.signal_number(name))
    finally:
        os.close(pidfd)
