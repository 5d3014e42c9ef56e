# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cgroup layer on the real kernel: everything that works without the memory, cpu, io and pids controllers."""

from __future__ import annotations

import errno
import os
import subprocess
import uuid
from collections.abc import Iterator

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import (
    find_hierarchy,
    observe_cgroup,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import Busy, KernelError

from tests import waiting


@pytest.fixture
def path() -> Iterator[str]:
    """A name of our own below the cgroup2 mount; whatever a failed test leaves there goes."""
    name = f"{find_hierarchy().mount}/bktest-{uuid.uuid4().hex[:8]}"
    yield name
    if os.path.isdir(name):
        cgroup.kill(name)
        cgroup.remove(name, recursive=True)


@pytest.fixture
def sleeper(path: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process; only the one that is attached moves, not what it forked before."""
    with waiting.process("sleep", "1000") as process:
        yield process


def test_make_marks_and_remove_removes(path: str) -> None:
    cgroup.make(path)
    assert cgroup.mark_of(path) == cgroup.DECLARED
    cgroup.make(path)
    cgroup.remove(path)
    assert not os.path.exists(path)
    cgroup.remove(path)


def test_a_foreign_cgroup_keeps_its_lack_of_a_mark(path: str) -> None:
    os.mkdir(path)
    cgroup.make(path)
    assert cgroup.mark_of(path) is None
    assert not observe_cgroup(path).ours


def test_attach_freeze_kill_frozen(path: str, sleeper: subprocess.Popen[bytes]) -> None:
    cgroup.make(path)
    cgroup.attach(path, sleeper.pid)
    assert cgroup.processes(path) == (sleeper.pid,)
    assert cgroup.holders(path) == (f"{sleeper.pid} sleep",)
    assert cgroup.populated(path)
    cgroup.freeze(path, True)
    assert "frozen 1" in (cgroup.read(path, "cgroup.events") or "")
    cgroup.kill(path)
    assert sleeper.wait() == -9
    assert not cgroup.populated(path)


def test_kill_without_cgroup_kill(path: str) -> None:
    cgroup.make(path)
    child = f"{path}/below"
    cgroup.make(child)
    process = subprocess.Popen(["sh", "-c", f"echo $$ > {child}/cgroup.procs; sleep 1000 & sleep 1000 & wait"])
    assert cgroup.wait_for(path, "populated", "1", waiting.PATIENCE)
    cgroup._kill_one_by_one(path)
    assert cgroup.wait_for(path, "populated", "0", waiting.PATIENCE)
    assert process.wait() == -9


def test_thaw_lets_it_run_again(path: str, sleeper: subprocess.Popen[bytes]) -> None:
    cgroup.make(path)
    cgroup.attach(path, sleeper.pid)
    cgroup.freeze(path, True)
    assert observe_cgroup(path).frozen
    cgroup.freeze(path, False)
    assert cgroup.wait_for(path, "frozen", "0", waiting.PATIENCE)
    assert not observe_cgroup(path).frozen


def test_removing_a_populated_cgroup_names_the_processes(path: str, sleeper: subprocess.Popen[bytes]) -> None:
    cgroup.make(path)
    cgroup.attach(path, sleeper.pid)
    with pytest.raises(Busy) as caught:
        cgroup.remove(path)
    assert caught.value.holders == (f"{sleeper.pid} sleep",)
    cgroup.kill(path)


def test_remove_recursive_takes_what_is_below(path: str) -> None:
    for name in ("", "/a", "/a/b", "/c"):
        cgroup.make(path + name)
    with pytest.raises(Busy):
        cgroup.remove(path)
    cgroup.remove(path, recursive=True)
    assert not os.path.exists(path)


def test_waiting_for_a_removed_cgroup_ends(path: str) -> None:
    assert cgroup.wait_for(path, "populated", "0")
    cgroup.make(path)
    assert cgroup.wait_for(path, "populated", "0")
    assert not cgroup.wait_for(path, "populated", "1", timeout=0.01)


def test_a_refused_value_is_an_error_with_the_kernels_reason(path: str) -> None:
    cgroup.make(path)
    with pytest.raises(KernelError) as caught:
        cgroup.write(path, "cgroup.freeze", "7")
    assert (caught.value.errno, caught.value.syscall) == (errno.ERANGE, "write")
    assert "'7'" in str(caught.value)
    with pytest.raises(KernelError) as caught:
        cgroup.write(path, "memory.nonsense", "1")
    assert caught.value.errno in (errno.ENOENT, errno.EACCES)
    assert cgroup.read(path, "memory.nonsense") is None


def test_attaching_a_process_that_is_not_there(path: str) -> None:
    cgroup.make(path)
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(KernelError) as caught:
        cgroup.attach(path, process.pid)
    assert caught.value.errno == errno.ESRCH
    assert str(process.pid) in str(caught.value)
