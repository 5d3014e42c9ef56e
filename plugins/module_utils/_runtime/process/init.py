# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the runtime's process to the container's init: through the namespaces, into the root, and exec.

Two processes do it. ``stage`` joins the namespaces given by path and the user namespace, then clones ``init`` as the
runtime's own child (CLONE_PARENT) in the new ones: so a namespace given by path may belong to any user namespace, and
the new ones belong to the container's. Once these processes are no longer the host's root in the host's mounts they
can import nothing, so preload() does it before.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from ..._kernel import clone, libc
from ..._kernel import process as process_
from ..._kernel.errors import BareKernelError, KernelError
from ..bundle.spec import Process, Spec
from ..errors import RuntimeFailure
from . import credentials, descriptors, devices, masking, mounting, rootfs
from .channel import Channel
from .prepare import Prepared

#: unshare(2) after clone: CLONE_INTO_CGROUP moves the child only after the new cgroup namespace took its root.
_LATE = ("cgroup", "user", "time")


class Plan(NamedTuple):
    """All that stage and init need, decided and opened before."""

    spec: Spec
    process: Process
    prepared: Prepared
    program: bytes | None
    seccomp_flags: int
    cgroup_path: str | None
    cgroup_fd: int | None
    fifo_fd: int
    error_fd: int
    console_fd: int | None
    stdio: tuple[int, int, int] | None
    parent_pidfd: int | None
    preserve_fds: tuple[int, ...]
    helper: mounting.Helper | None
    state: dict[str, Any]

    def until_exec(self, channel: Channel) -> tuple[int, ...]:
        """The descriptors that init needs up to execve(2), none of them a directory, and those that it hands on."""
        return descriptors.given(channel.fileno(), self.fifo_fd, self.error_fd, self.parent_pidfd, *self.preserve_fds)

    def for_setup(self, channel: Channel) -> tuple[int, ...]:
        """Those, and what is mounted, joined to and handed over while the container is made."""
        prepared = self.prepared
        helper = self.helper.fileno() if self.helper else None
        mounts = (prepared.root_tree, *prepared.binds.values(), helper)
        return (*self.until_exec(channel), *descriptors.given(*mounts, self.console_fd, *(self.stdio or ())))


def preload(spec: Spec, process: Process) -> None:
    """Import what only some bundles need."""
    if spec.has_new("network"):
        from ..._kernel import loopback as _loopback  # noqa: F401
    if spec.sysctl:
        from ..._kernel import sysctl as _sysctl  # noqa: F401
    if process.terminal:
        from . import console as _console_module  # noqa: F401
    if any(spec.hooks.values()):
        from ..bundle import hooks as _hooks_module  # noqa: F401


def stage(plan: Plan, channel: Channel) -> None:
    """The first process. Never returns."""
    signal.set_wakeup_fd(-1)  # a supervisor's: our signals are not its own
    _guarded(lambda: _stage(plan, channel), channel)


def _stage(plan: Plan, channel: Channel) -> None:
    credentials.not_inspectable()
    credentials.import_nothing_more()
    spec, namespaces = plan.spec, plan.prepared.namespaces
    descriptors.close_all_but((*plan.for_setup(channel), *descriptors.given(plan.cgroup_fd, *namespaces.values())))
    offsets = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC) if spec.time_offsets else -1
    # As the host's root one may enter any namespace; the user namespace comes last, as it takes that away.
    for kind, fd in namespaces.items():
        if kind != "user":
            clone.setns(fd)
    if "user" in namespaces:
        clone.setns(namespaces["user"])
    elif spec.has_new("user"):
        clone.unshare(clone.CLONE_NEWUSER)
        channel.send("user namespace")
        channel.expect("mapped", "the runtime")
    if spec.has_new("time"):
        clone.unshare(clone.CLONE_NEWTIME)
        for clock, (seconds, nanoseconds) in spec.time_offsets.items():
            os.write(offsets, f"{clock} {seconds} {nanoseconds}".encode())
    flags = sum(n.flag for n in spec.namespaces if n.path is None and n.kind not in _LATE)
    pid, pidfd = clone.clone3(flags | clone.CLONE_PARENT, plan.cgroup_fd)
    if pid == 0:
        _guarded(lambda: init(plan, channel), channel)
    channel.send_process("init", pid, pidfd)
    os._exit(0)


def _guarded(action: Callable[[], None], channel: Channel) -> None:
    """Any error becomes a message; the process ends in any case."""
    try:
        action()
    except (BareKernelError, OSError) as error:
        _tell(channel, str(error))
    except BaseException:  # a mistake of ours: the trace is what helps
        _tell(channel, trace())
    os._exit(1)


def trace() -> str:
    """Where an unforeseen error came from, without the traceback module, which may be out of reach by now."""
    kind, error, frame = sys.exc_info()
    places = []
    while frame is not None:
        places.append(f"{os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}")
        frame = frame.tb_next
    return f"{kind.__name__ if kind else ''}: {error} (at {' > '.join(places)})"


def _tell(channel: Channel, text: str) -> None:
    try:
        channel.send("error", text)
    except OSError:
        os.write(2, text.encode("utf-8", "replace") + b"\n")


def init(plan: Plan, channel: Channel) -> None:
    """The container's first process: everything, then its program. Returns only by an exception."""
    descriptors.close_all_but(plan.for_setup(channel))
    channel.expect("go", "the runtime")
    os.setsid()
    credentials.new_session_keyring()
    spec = plan.spec
    _names(spec)
    if spec.has_new("network"):
        from ..._kernel import loopback

        loopback.interface_up("lo")
    root_fd = plan.prepared.root_tree
    hands = mounting.Here(spec, root_fd) if plan.helper is None else mounting.Helped(plan.helper.handle)
    hands.attach_root()
    if spec.namespace("user") is not None:
        credentials.become_root_of_user_namespace()
    if spec.has_new("cgroup"):
        clone.unshare(clone.CLONE_NEWCGROUP)
    views = rootfs.mount_all(hands, spec, plan.prepared, plan.cgroup_path)
    devices.populate(hands, root_fd, spec)
    slave = _console(hands, root_fd, plan)
    _sysctls(spec)
    rootfs.make_cwd(root_fd, plan.process.cwd)
    hooks = _hooks(spec)
    if hooks:
        hands.hooks(plan.state)
    masking.hide(hands, root_fd, spec, views)
    hands.enter()
    rootfs.finish(spec)
    for fd in (root_fd, *views.values()):
        os.close(fd)
    if spec.personality is not None:
        libc.call("personality", spec.personality)
    _become_program(plan, channel, slave, hooks)


def _names(spec: Spec) -> None:
    for call, name in (("sethostname", spec.hostname), ("setdomainname", spec.domainname)):
        if name is not None:
            raw = name.encode()
            libc.call(call, raw, len(raw), path=raw)


def _console(hands: mounting.Here | mounting.Helped, root_fd: int, plan: Plan) -> int | None:
    if not plan.process.terminal:
        return None
    from . import console

    if plan.console_fd is None:
        raise RuntimeFailure("process.terminal: a terminal is asked for and there is nobody to give it to")
    master, slave = console.open_pair(root_fd, plan.process.console_size)
    console.bind_console(hands, root_fd, slave)
    console.send(plan.console_fd, master)
    os.close(master)
    os.close(plan.console_fd)
    return slave


def _sysctls(spec: Spec) -> None:
    """Through the host's /proc/sys, which shows the namespaces of whoever writes."""
    if not spec.sysctl:
        return
    from ..._kernel import sysctl

    for name, value in spec.sysctl.items():
        try:
            sysctl.write(name, value)
        except KernelError as error:
            raise RuntimeFailure(f"linux.sysctl: {name}={value}: {error}") from None


def _hooks(spec: Spec) -> Any:
    """The module, imported while its file can still be seen; None where nothing is to be run."""
    if not (spec.hooks["createContainer"] or spec.hooks["startContainer"]):
        return None
    from ..bundle import hooks

    return hooks


def _become_program(plan: Plan, channel: Channel, slave: int | None, hooks: Any) -> None:
    """Credentials, the wait for ``start``, exec. Errors after ``start`` go to the file that ``start`` reads."""
    process = plan.process
    if slave is not None:
        from . import console

        console.take(slave)
    elif plan.stdio is not None:
        for number, fd in enumerate(plan.stdio):
            os.dup2(fd, number)
    # From here on paths are the image's to choose.
    descriptors.close_all_but(plan.until_exec(channel))
    credentials.enter_cwd(process.cwd)
    process = credentials.with_home(process)
    program = credentials.find_program(process)
    if plan.parent_pidfd is not None:
        process_.end_with(plan.parent_pidfd)  # nobody else would ever end the wait below
    channel.send("ready")
    os.read(plan.fifo_fd, 1)
    try:
        if hooks:
            hooks.run("startContainer", plan.spec.hooks["startContainer"], {**plan.state, "status": "created"})
        credentials.reset_signals()
        credentials.apply(process, plan.program, plan.seccomp_flags)
        if plan.parent_pidfd is not None:
            process_.end_with(plan.parent_pidfd)  # again, as the IDs are others now
        credentials.execute(process, program)
    except (BareKernelError, OSError) as error:
        os.write(plan.error_fd, str(error).encode("utf-8", "replace"))
        os._exit(getattr(error, "status", 1))
    except BaseException:
        os.write(plan.error_fd, trace().encode())
        os._exit(1)
