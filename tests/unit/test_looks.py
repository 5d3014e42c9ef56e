# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changes between two looks: processes that end, descriptors that are closed, records that are written anew."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container import observe_mounted
from ansible_collections.barekernel.containers.plugins.module_utils._core.observe_world import World
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (
    cgroup,
    mountinfo,
    namespaces,
    netlink_links,
    process_root,
    sockets,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import process as processes
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import HOST, NetnsRef
from ansible_collections.barekernel.containers.plugins.module_utils._links import observe as netns_observe
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import (
    control,
    launch,
    record,
    supervisor,
)

NOBODY = 2**22  # above the highest PID that Linux gives
RAN = record.State("running", pid=NOBODY, start_time=1, supervisor=NOBODY, supervisor_start_time=1)


def test_a_container_that_ends_while_it_is_looked_at_was_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = RAN._replace(status="exited", pid=None, start_time=None, exit_code=3)
    records = iter([RAN, ended, ended])
    monkeypatch.setattr(control.record, "read", lambda _name: next(records))
    seen = control.observe("web")
    assert (seen.status, seen.exit_code, seen.error) == ("exited", 3, "")


def test_a_container_that_is_removed_while_it_is_looked_at_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    records = iter([RAN, None])
    monkeypatch.setattr(control.record, "read", lambda _name: next(records))
    assert control.observe("web") == control.Supervised("web", "stopped")


def test_how_long_to_wait_is_no_wish_to_the_next_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that had just ended when it was asked takes the wish from nobody."""
    monkeypatch.setattr(supervisor.record, "directory", lambda _name: str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pidfd = os.pidfd_open(ended.pid)
    supervisor._ask(launch.Launch("web", "/bundle", "/cgroup"), 0, pidfd)
    os.close(pidfd)
    assert os.listdir(tmp_path) == []


def test_a_descriptor_that_is_closed_meanwhile_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    readlink = os.readlink

    def closing(path: Any) -> str:
        if path.endswith("/fd/0"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return readlink(path)

    monkeypatch.setattr(os, "readlink", closing)
    with socket.create_server(("127.0.0.1", 0)) as server:
        holder = sockets.holder_of(os.fstat(server.fileno()).st_ino)
    assert holder.startswith(f"{os.getpid()} ")


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EACCES])
def test_a_process_that_ends_while_its_namespace_is_opened_is_gone(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """As a zombie it has none (ENOENT); when it is reaped after its name was found the kernel says EACCES."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        really, started = os.open, processes.start_time(process.pid)

        def refused(path: str, *arguments: Any, **options: Any) -> int:
            if path != "ns/net":
                return really(path, *arguments, **options)
            process.communicate(b"\n")
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(namespaces.os, "open", refused)
        assert namespaces.netns_identity(NetnsRef.of_process(process.pid, started)) is None


#: What is opened of a process's directory in /proc, and what the kernel says of a zombie's.
FILES = {"mountinfo": errno.EINVAL, "mounts": errno.EINVAL, "environ": errno.ESRCH, "root": errno.ENOENT} | {
    f"ns/{name}": errno.ENOENT for name in ("cgroup", "ipc", "mnt", "net", "uts")
}


@pytest.fixture
def zombie() -> Iterator[tuple[int, int]]:
    """One that has ended and is not waited for: its PID and start time."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        started = processes.start_time(process.pid)
        assert started is not None
        yield process.pid, started


@pytest.mark.parametrize("name", FILES)
def test_a_zombie_is_gone_whatever_the_kernel_says_of_it(zombie: tuple[int, int], name: str) -> None:
    with pytest.raises(OSError) as said:
        os.open(f"/proc/{zombie[0]}/{name}", os.O_RDONLY)
    assert said.value.errno == FILES[name]
    with pytest.raises(KernelError, match="ESRCH"), processes.entry(*zombie) as entry:
        os.open(name, os.O_RDONLY, dir_fd=entry)


def test_what_looks_at_a_process_takes_a_zombie_for_gone(zombie: tuple[int, int]) -> None:
    """A task on a container may look in the very moment in which that ends."""
    with pytest.raises(KernelError, match="ESRCH"), processes.entry(*zombie) as entry:
        mountinfo.read_mountinfo(directory=entry)
    for look in (process_root.exists, process_root.read_file):
        with pytest.raises(KernelError, match="ESRCH"):
            look(*zombie, "/etc/passwd")
    with pytest.raises(KernelError, match="ESRCH"):
        processes.open_namespace(*zombie, "mnt")
    assert namespaces.identity_of_process(*zombie, "ipc") is None
    assert observe_mounted.mounted(*zombie) == {}


def test_what_a_process_showed_while_it_ended_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mounts go with it: a file on one of them would be found missing, and `removes` skip the command."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started, really = processes.start_time(process.pid), process_root.openat2

        def ends_first(*arguments: Any) -> int:
            process.communicate(b"\n")
            return really(*arguments)

        monkeypatch.setattr(process_root, "openat2", ends_first)
        with pytest.raises(KernelError, match="ESRCH"):
            process_root.exists(process.pid, started, "/no/such")


def test_a_process_that_is_reaped_while_its_cgroup_is_read_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def reaped(_fd: int, _size: int) -> bytes:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))

    monkeypatch.setattr(os, "read", reaped)
    assert cgroup.cgroup_of(os.getpid(), "/sys/fs/cgroup") is None


def test_a_namespace_that_goes_while_it_is_searched_has_no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_ref: NetnsRef) -> Any:
        raise KernelError(errno.ESRCH, "pidfd_open", str(NOBODY))

    monkeypatch.setattr(netlink_links, "links", gone)
    here = namespaces.netns_identity(HOST)
    assert here is not None
    assert netns_observe.links_of(World(), here, NetnsRef.of_process(NOBODY, 1)) == ()
    with pytest.raises(KernelError):
        netns_observe.links_of(World(), here, HOST)
