# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill, delete, pause and resume of a created container."""

from __future__ import annotations

import contextlib
import os
import signal

from ..._kernel import cgroup, files, process
from ..._kernel.errors import KernelError
from ..errors import RuntimeFailure
from . import cgroups, state
from .state import Container


def kill(container: Container, number: int, everyone: bool = False) -> None:
    """Send a signal to init, or to every process of the container. Raises RuntimeFailure where it does not run."""
    if everyone:
        _kill_everyone(container, number)
        return
    try:
        pidfd = process.open_process(container.pid, container.start_time)
    except KernelError:
        raise RuntimeFailure(f"container {container.id!r} is not running") from None
    try:
        if process.has_ended(pidfd) or not process.send_signal(pidfd, number):
            raise RuntimeFailure(f"container {container.id!r} is not running")
    finally:
        os.close(pidfd)


def _kill_everyone(container: Container, number: int) -> None:
    if container.cgroup is None:
        raise RuntimeFailure(f"container {container.id!r} has no cgroup by which its processes are known")
    if number == signal.SIGKILL:
        cgroup.kill(container.cgroup)
        return
    cgroup.signal_all(container.cgroup, number)


def delete(container: Container, force: bool = False) -> None:
    """Remove what is left of a stopped or never started container; with force of a running one too.

    Raises RuntimeFailure where it runs, Busy where a process does not die.
    """
    status = container.status()
    if status not in (state.STOPPED, state.CREATED) and not force:
        raise RuntimeFailure(f"container {container.id!r} is {status}: stop it first, or use --force")
    config = state.read_config(container) if container.hooks else None
    end(container)
    state.forget(container.root, container.id)
    if config is not None:
        from ..bundle import hooks, spec

        # runtime.md: a poststop hook that fails is worth a warning, and the container is deleted all the same.
        for hook in spec.parse(config, container.bundle).hooks["poststop"]:
            try:
                hooks.run("poststop", [hook], container.state(state.STOPPED))
            except RuntimeFailure as error:
                os.write(2, f"nsrun: {error}\n".encode())


def delete_unfinished(root: str, container_id: str) -> None:
    """Remove what a runtime left that was killed while it created: the claim on the id, and the cgroup if it made one.

    Raises BundleError for what is no id, Busy, KernelError.
    """
    made = files.read_text(f"{root}/{state.check_id(container_id)}/{state.CGROUP}")
    if made:
        cgroups.destroy(made)
    state.forget(root, container_id)


def end(container: Container) -> None:
    """No process and no cgroup of the container is left afterwards. Raises Busy, KernelError."""
    if container.alive():
        with contextlib.suppress(KernelError):
            pidfd = process.open_process(container.pid, container.start_time)
            try:
                # Init of a PID namespace takes all its processes with it; cgroup.kill below covers shared ones.
                process.send_signal(pidfd, signal.SIGKILL)
                if container.cgroup:
                    cgroup.write(container.cgroup, "cgroup.freeze", "0")
                process.wait_ended(pidfd, cgroup.PATIENCE)
            finally:
                os.close(pidfd)
    if container.cgroup is not None:
        cgroups.destroy(container.cgroup)


def pause(container: Container, frozen: bool) -> None:
    """Freeze or thaw. Raises RuntimeFailure, KernelError."""
    expected = state.RUNNING if frozen else state.PAUSED
    if container.status() != expected:
        raise RuntimeFailure(f"container {container.id!r} is {container.status()}, not {expected}")
    if container.cgroup is None:
        raise RuntimeFailure(f"container {container.id!r} has no cgroup to freeze")
    cgroup.freeze(container.cgroup, frozen)
