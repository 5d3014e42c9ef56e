# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cgroup_v2 on the real kernel. Needs of the controllers only hugetlb, which a hybrid host has in cgroup v2 too."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._cgroup.plan import missing_controllers
from ansible_collections.barekernel.containers.plugins.module_utils._cgroup.resource import CgroupInfo, CgroupResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted, converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import find_hierarchy
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.kernel import Kernel

from tests import waiting
from tests.kernels import DIED, Dying, Refusing, in_child

MOUNT = find_hierarchy().mount
DEFAULTS: dict[str, Any] = {"state": "present", "limits": None, "pids": None, "freeze": None}
DEFAULTS |= {"kill": False, "recursive": False}


@pytest.fixture
def top() -> Iterator[str]:
    name = f"bktest-{uuid.uuid4().hex[:8]}"
    yield name
    if os.path.isdir(f"{MOUNT}/{name}"):
        cgroup.kill(f"{MOUNT}/{name}")
        cgroup.remove(f"{MOUNT}/{name}", recursive=True)
    # Controllers that were enabled in the root go too, unless somebody else has cgroups there now.
    run(name, state="absent")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with waiting.process("sleep", "1000") as process:
        yield process


def run(path: str, kernel: Any = None, **options: Any) -> list[str]:
    """Check, apply the same, apply again nothing."""
    resource = CgroupResource()
    desired = resource.desired({**DEFAULTS, "path": path, **options})
    predicted = predict(resource, desired).plan.actions
    applied = converge(resource, desired, kernel).plan.actions
    assert applied == predicted
    assert predict(resource, desired).plan.actions == []
    return applied


def test_a_whole_life_leaves_a_foreign_parent_as_it_was(top: str) -> None:
    foreign = f"{MOUNT}/{top}"
    os.mkdir(foreign)
    assert run(f"{top}/lab/db", limits={"hugetlb": {"2M": "5M"}, "raw": {"cgroup.max.depth": 3}})
    path = f"{foreign}/lab/db"
    assert cgroup.enabled_by_us(foreign) == ("hugetlb",)
    assert cgroup.read(path, "hugetlb.2MB.max") == "4194304"
    assert cgroup.read(path, "cgroup.max.depth") == "3"
    assert run(f"{top}/lab/db", limits={"hugetlb": {"2M": "max"}}) == [f"set {path}/hugetlb.2MB.max to max"]
    assert cgroup.read(path, "cgroup.max.depth") == "3"
    assert run(path, state="absent") == [
        f"remove cgroup {path}",
        f"remove cgroup {foreign}/lab",
        f"disable hugetlb for the children of cgroup {foreign}",
    ]
    assert cgroup.read(foreign, "cgroup.subtree_control") == ""
    assert cgroup.enabled_by_us(foreign) == ()


def test_a_neighbour_at_its_defaults_does_not_hold_a_controller(top: str) -> None:
    foreign = f"{MOUNT}/{top}"
    os.makedirs(f"{foreign}/neighbour")
    run(f"{top}/db", limits={"hugetlb": {"2M": "4M"}})
    assert cgroup.read(f"{foreign}/neighbour", "hugetlb.2MB.max") is not None
    assert f"disable hugetlb for the children of cgroup {foreign}" in run(f"{top}/db", state="absent")
    run(f"{top}/db", limits={"hugetlb": {"2M": "4M"}})
    cgroup.write(f"{foreign}/neighbour", "hugetlb.2MB.max", "6M")
    assert run(f"{top}/db", state="absent") == [f"remove cgroup {foreign}/db"]
    assert cgroup.read(f"{foreign}/neighbour", "hugetlb.2MB.max") == str(6 << 20)


def test_processes_are_moved_frozen_and_killed(top: str, sleeper: subprocess.Popen[bytes]) -> None:
    path = f"{MOUNT}/{top}"
    assert run(top, pids=[sleeper.pid], freeze=True) == [
        f"make cgroup {path}",
        f"move process {sleeper.pid} to cgroup {path}",
        f"freeze cgroup {path}",
    ]
    assert cgroup.cgroup_of(sleeper.pid, str(MOUNT)) == path
    with pytest.raises(Refused, match=f"has processes: {sleeper.pid} sleep"):
        run(top, state="absent")
    assert run(top, freeze=False) == [f"thaw cgroup {path}"]
    assert run(top, state="absent", kill=True) == [f"kill all processes in cgroup {path}", f"remove cgroup {path}"]
    assert sleeper.wait() == -9


def test_what_runs_the_task_is_not_moved_into_what_is_frozen(top: str) -> None:
    for pid in (os.getpid(), os.getppid()):
        with pytest.raises(OptionError, match=f"pids: {pid}: runs this task"):
            run(top, pids=[pid], freeze=True)
    assert not os.path.exists(f"{MOUNT}/{top}")


def test_processes_of_a_threaded_cgroup_are_named(top: str, sleeper: subprocess.Popen[bytes]) -> None:
    run(f"{top}/threads")
    cgroup.attach(f"{MOUNT}/{top}", sleeper.pid)
    cgroup.write(f"{MOUNT}/{top}/threads", "cgroup.type", "threaded")
    cgroup.write(f"{MOUNT}/{top}/threads", "cgroup.threads", str(sleeper.pid))
    with pytest.raises(Refused, match=f"has processes: {sleeper.pid} sleep. End them first"):
        run(f"{top}/threads", state="absent")
    sleeper.kill()
    sleeper.wait()


def test_a_task_does_not_freeze_or_kill_what_it_runs_in(top: str) -> None:
    run(top)
    home = cgroup.cgroup_of(os.getpid(), str(MOUNT)) or str(MOUNT)
    cgroup.attach(f"{MOUNT}/{top}", os.getpid())
    try:
        with pytest.raises(OptionError, match="freeze: True: this task itself runs in"):
            run(top, freeze=True)
        with pytest.raises(Refused, match="kill: this task itself runs in"):
            run(top, state="absent", kill=True)
    finally:
        cgroup.attach(home, os.getpid())


def test_a_foreign_cgroup_may_be_limited_but_not_removed(top: str) -> None:
    os.mkdir(f"{MOUNT}/{top}")
    assert run(top, limits={"raw": {"cgroup.max.depth": 5}}) == [f"set {MOUNT}/{top}/cgroup.max.depth to 5"]
    with pytest.raises(Refused, match="was not made by this collection"):
        run(top, state="absent", kill=True, recursive=True)
    assert os.path.isdir(f"{MOUNT}/{top}")


def test_no_internal_processes_is_explained(top: str, sleeper: subprocess.Popen[bytes]) -> None:
    run(top, pids=[sleeper.pid])
    with pytest.raises(Refused, match=rf'"no internal processes"\). In it: {sleeper.pid} sleep'):
        run(f"{top}/db", limits={"hugetlb": {"2M": "2M"}})
    assert not os.path.exists(f"{MOUNT}/{top}/db")
    run(top, state="absent", kill=True)


def test_attaching_above_enabled_controllers_is_explained(top: str, sleeper: subprocess.Popen[bytes]) -> None:
    run(f"{top}/db", limits={"hugetlb": {"2M": "2M"}})
    with pytest.raises(Refused, match="has enabled hugetlb for its children.*: db"):
        run(top, pids=[sleeper.pid])
    assert run(f"{top}/db", state="absent")


def test_a_missing_controller_is_named_before_anything_is_made(top: str) -> None:
    # A host whose cgroup v2 has them all still lacks one that no kernel has.
    missing = missing_controllers(find_hierarchy(), ["memory.max", "cpu.max", "pids.max", "nosuch.max"])
    name, why = next(iter(missing.items()))
    file, value = {"cpu": ("cpu.max", "max"), "memory": ("memory.max", "1G")}.get(name, (f"{name}.max", "9"))
    with pytest.raises(Refused, match=re.escape(f"{name}: {why}")):
        run(f"{top}/db", limits={"raw": {file: value}})
    assert not os.path.exists(f"{MOUNT}/{top}")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"path": "../etc"}, "must not contain"),
    ({"path": "/etc/x"}, "is not below the cgroup2 mount"),
    ({"path": ""}, "root of the hierarchy"),
    ({"path": f"{MOUNT}/cgroup.procs"}, "is a control file"),
    ({"path": "cgroup.procs/x"}, "is a control file"),
    ({"path": "bktest-no/memory.max"}, "memory.max is the name of a control file"),
    ({"path": "a\nb"}, "NUL or a line end"),
    ({"path": "a" * 256}, "longer than 255 bytes"),
    ({"pids": [1 << 22]}, "no such process runs"),
    ({"pids": [0]}, "no such process runs"),
    ({"pids": [-1]}, "no such process runs"),
    ({"limits": {"hugetlb": {"2M": "99999999999999999999"}}}, "than the kernel can count"),
    ({"limits": {"io": [{"device": "/dev/null", "rbps": "1M"}]}}, "not a block device"),
    ({"limits": {"io": [{"device": "4095:1", "rbps": "1M"}]}}, "not a block device"),
    ({"limits": {"cpuset": "8191"}}, "this host has CPUs"),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[str(options)[:50] for options, _words in BAD])
def test_bad_input_is_refused_and_changes_nothing(top: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        run(**{"path": top, "kernel": Refusing(Kernel()), **options})
    assert not os.path.exists(f"{MOUNT}/{top}")


def test_what_the_kernel_refuses_is_taken_back(top: str) -> None:
    limits = {"hugetlb": {"2M": "4M"}, "raw": {"hugetlb.2MB.nonsense": "1"}}
    with pytest.raises(Interrupted, match=r"hugetlb.2MB.nonsense: .*\(ENOENT\)") as caught:
        run(f"{top}/db", limits=limits)
    assert not os.path.exists(f"{MOUNT}/{top}")
    assert caught.value.done == []


def test_a_run_that_dies_anywhere_is_repaired_by_the_next(top: str) -> None:
    limits = {"hugetlb": {"2M": "4M"}}
    for calls in range(6):
        assert in_child(lambda: run(f"{top}/db", Dying(Kernel(), calls), limits=limits)) in (0, DIED)  # noqa: B023
        run(f"{top}/db", limits=limits)
        assert cgroup.read(f"{MOUNT}/{top}/db", "hugetlb.2MB.max") == "4194304"
        assert in_child(lambda: run(f"{top}/db", Dying(Kernel(), calls % 4), state="absent")) in (0, DIED)  # noqa: B023
        run(f"{top}/db", state="absent")
        assert not os.path.exists(f"{MOUNT}/{top}")


def test_info_reads_limits_usage_events_and_pressure(top: str) -> None:
    run(f"{top}/db", limits={"hugetlb": {"2M": "4M"}})
    found = CgroupInfo().gather({"paths": [top, "bktest-nothing"], "recursive": True})
    parent, child, nothing = found["cgroups"]
    assert (parent["children"], parent["enabled"], parent["ours"]) == (["db"], ["hugetlb"], True)
    assert child["limits"]["hugetlb.2MB.max"] == "4194304"
    assert child["usage"]["hugetlb.2MB.current"] == 0
    assert child["events"]["cgroup.events"] == {"populated": 0, "frozen": 0}
    assert set(child["pressure"]) >= {"cpu", "io", "memory"}
    assert nothing["exists"] is False
    run(f"{top}/db", state="absent")
