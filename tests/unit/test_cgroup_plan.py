# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner of cgroups as tables, and who holds a controller on hosts of every kind."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._cgroup.plan import (
    Cgroup,
    CgroupObserved,
    limits_view,
    missing_controllers,
    plan_cgroup,
    plan_limits,
    tidy_operations,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup_state, cgroup_usage
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import (
    CgroupState,
    Hierarchy,
    Level,
    Neighbour,
    hierarchy_of,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.mountinfo import parse_line

HELD = "held by the cgroup v1 hierarchy at /sys/fs/cgroup/memory"
MIXED = Hierarchy("/c", "hybrid", ("cpu", "hugetlb", "pids"), {"memory": HELD})
ROOT = Level("/c", True, None, MIXED.controllers)
NEW = CgroupState("/c/lab/db", False, MIXED, (ROOT, Level("/c/lab", False)))
LAB = Level("/c/lab", True, "implied", ("cpu", "pids"), ("pids",), children=("db",))
OLD = CgroupState(
    "/c/lab/db",
    True,
    MIXED,
    (dataclasses.replace(ROOT, enabled=("cpu", "pids"), children=("lab", "other")), LAB),
    "declared",
    True,
    ("pids",),
    files={"pids.max": "100"},
)


def actions(desired: Cgroup, state: CgroupState, where: dict[int, str] | None = None) -> list[str]:
    return plan_cgroup(desired, CgroupObserved(state, where or {})).actions


def want(**options: Any) -> Cgroup:
    return Cgroup("/c/lab/db", **options)


def test_a_new_cgroup_is_made_with_its_controllers_from_the_top() -> None:
    desired = want(files={"pids.max": "7", "cpu.max": "max 100000"}, processes={42: 1}, freeze=True)
    assert actions(desired, NEW, {42: "/c/x"}) == [
        "enable cpu, pids for the children of cgroup /c",
        "make cgroup /c/lab",
        "enable cpu, pids for the children of cgroup /c/lab",
        "make cgroup /c/lab/db",
        "set /c/lab/db/pids.max to 7",
        "move process 42 to cgroup /c/lab/db",
        "freeze cgroup /c/lab/db",
    ]


@pytest.mark.parametrize(
    ("desired", "expected"),
    [
        (want(files={"pids.max": "100"}), []),
        (want(files={"pids.max": "max"}), ["set /c/lab/db/pids.max to max"]),
        (
            want(files={"cpu.weight": "50", "pids.max": "100"}),
            ["enable cpu for the children of cgroup /c/lab", "set /c/lab/db/cpu.weight to 50"],
        ),
        (want(freeze=False), []),
        (want(freeze=True), ["freeze cgroup /c/lab/db"]),
        (want(processes={5: 1, 6: 2, 7: 3}), ["move process 5 to cgroup /c/lab/db"]),
        (want(present=False), ["remove cgroup /c/lab/db", "remove cgroup /c/lab"]),
    ],
    ids=lambda value: str(value)[:70],
)
def test_an_existing_cgroup_gets_only_what_differs(desired: Cgroup, expected: list[str]) -> None:
    # 5 is elsewhere, 6 is in a child, 7 has ended.
    assert actions(desired, OLD, {5: "/c/lab/db2", 6: "/c/lab/db/inner"}) == expected


def test_a_cgroup_made_on_the_way_is_kept_once_it_is_declared() -> None:
    assert actions(want(), dataclasses.replace(OLD, mark="implied")) == ["keep cgroup /c/lab/db for its own sake"]
    assert actions(want(), dataclasses.replace(OLD, mark=None, ours=False)) == []


BUSY = dataclasses.replace(OLD, populated=True, processes=("5 sh", "6 sleep"), children=("inner",))
REFUSED = [
    (want(files={"memory.max": "4096"}), NEW, f"lacks memory. memory: {HELD}"),
    (
        want(files={"cpu.weight": "50"}),
        dataclasses.replace(OLD, levels=(OLD.levels[0], dataclasses.replace(LAB, processes=("9 httpd",)))),
        'cgroup /c/lab would have to enable cpu for its children, and the kernel does not let a cgroup that has '
        'processes of its own do so ("no internal processes"). In it: 9 httpd',
    ),
    (want(processes={5: 1}), dataclasses.replace(OLD, enabled=("pids",), children=("a",)), "one of its children: a"),
    (want(present=False), BUSY, "has child cgroups: inner"),
    (want(present=False, recursive=True), BUSY, "has processes: 5 sh, 6 sleep"),
    (want(present=False, kill=True, recursive=True), dataclasses.replace(BUSY, ours=False), "was not made by"),
]  # fmt: skip


@pytest.mark.parametrize(("desired", "state", "words"), REFUSED, ids=lambda value: str(value)[-40:])
def test_refused_with_what_to_do(desired: Cgroup, state: CgroupState, words: str) -> None:
    with pytest.raises(Refused, match=re.escape(words)):
        actions(desired, state, {5: "/c/x"})


@pytest.mark.parametrize("own", ["/c/lab/db", "/c/lab/db/inner/most"])
def test_the_task_neither_freezes_nor_kills_itself(own: str) -> None:
    with pytest.raises(OptionError, match=f"freeze: True: this task itself runs in {own}"):
        plan_cgroup(want(freeze=True), CgroupObserved(OLD, own=own))
    with pytest.raises(Refused, match=f"kill: this task itself runs in {own}"):
        plan_cgroup(want(present=False, kill=True, recursive=True), CgroupObserved(BUSY, own=own))
    assert plan_cgroup(want(freeze=True), CgroupObserved(OLD, own=own.replace("/db", "/db2"))).operations


@pytest.mark.parametrize(
    ("desired", "state", "lineage", "words"),
    [
        (want(freeze=True, processes={5: 1}), OLD, {9: "/c", 5: "/c/x"}, "pids: 5: runs this task"),
        (want(processes={5: 1}), dataclasses.replace(OLD, frozen=True), {5: "/c/x"}, "pids: 5: runs this task"),
        (want(freeze=True), OLD, {9: "/c", 5: "/c/lab/db/inner"}, "freeze: True: process 5 in /c/lab/db/inner runs"),
    ],
)
def test_nobody_who_runs_the_task_is_frozen(
    desired: Cgroup, state: CgroupState, lineage: dict[int, str], words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        plan_cgroup(desired, CgroupObserved(state, {5: "/c/x"}, "/c", lineage))
    assert plan_cgroup(desired, CgroupObserved(state, {5: "/c/x"}, "/c", {9: "/c"}))


@pytest.mark.parametrize(
    ("file", "option", "words"),
    [
        ("pids.peculiar", "limits.raw", "this kernel has no pids.peculiar"),
        ("pids.max", "limits.pids", "this kernel has no pids.max"),
        ("nope.file", "limits.raw", "no controller is called nope: on this host there are cpu, hugetlb, pids"),
    ],
)
def test_a_file_that_is_not_there_names_its_option(file: str, option: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as refused:
        actions(want(files={file: "1"}), dataclasses.replace(OLD, files={}))
    assert refused.value.option == option


def test_an_empty_list_of_processes_is_no_end_of_a_sentence() -> None:
    state = dataclasses.replace(OLD, populated=True)
    with pytest.raises(Refused, match="has processes: none that this PID namespace shows. End them first"):
        actions(want(present=False), state)


def test_killing_and_removing_all_below() -> None:
    assert actions(want(present=False, kill=True, recursive=True), BUSY) == [
        "kill all processes in cgroup /c/lab/db",
        "remove cgroup /c/lab/db and all below it",
        "remove cgroup /c/lab",
    ]


def test_controllers_that_we_enabled_go_when_nothing_can_rely_on_them() -> None:
    alone = dataclasses.replace(ROOT, children=("lab",), enabled=("pids",), enabled_by_us=("pids",))
    gone = dataclasses.replace(OLD, levels=(alone, LAB))
    assert [o.describe() for o in tidy_operations(gone)] == [
        "remove cgroup /c/lab",
        "disable pids for the children of cgroup /c",
    ]
    for settings, enabled, kept in (
        ({"pids.max": "max", "memory.max": "5", "cpu.weight": "7"}, ("memory",), False),
        ({"pids.max": "9"}, (), True),
        ({"pids.max": "max", "hugetlb.2MB.max": "9223372036854771712"}, (), False),
        ({"pids.max": "max"}, ("pids",), True),
    ):
        root = dataclasses.replace(
            alone,
            children=("lab", "system.slice"),
            neighbours=(Neighbour("lab", ("pids",), {}), Neighbour("system.slice", enabled, settings)),
        )
        found = [o.describe() for o in tidy_operations(dataclasses.replace(OLD, levels=(root, LAB)))]
        assert found == ["remove cgroup /c/lab"] + ([] if kept else ["disable pids for the children of cgroup /c"])
    declared = dataclasses.replace(OLD, levels=(alone, dataclasses.replace(LAB, mark="declared")))
    assert tidy_operations(declared) == []
    neighbours = dataclasses.replace(OLD, levels=(alone, dataclasses.replace(LAB, children=("db", "web"))))
    assert tidy_operations(neighbours) == []


def test_what_a_killed_run_left_above_is_cleared() -> None:
    half = dataclasses.replace(OLD, exists=False, levels=(ROOT, dataclasses.replace(LAB, children=())))
    assert actions(want(present=False), half) == ["remove cgroup /c/lab"]


def test_diff_and_changes_name_the_limit() -> None:
    plan = plan_cgroup(want(files={"pids.max": "7"}, freeze=True), CgroupObserved(OLD))
    assert [dataclasses.astuple(c) for c in plan.changes] == [
        ("limits.pids.max", "100", "7", "live"),
        ("freeze", False, True, "live"),
    ]
    assert plan.before == {"path": "/c/lab/db", "limits": {"pids.max": "100"}, "freeze": False}
    assert plan.after == {"path": "/c/lab/db", "limits": {"pids.max": "7"}, "freeze": True}


def test_a_partly_written_io_max_is_the_same_in_the_diff() -> None:
    hierarchy = Hierarchy("/c", "unified", ("io",))
    state = CgroupState("/c/a", True, hierarchy, files={"io.max": "8:0 rbps=5 wbps=max riops=max wiops=9"})
    assert limits_view(state, {"io.max": "8:0 rbps=5"}) == {"io.max": "8:0 rbps=5"}
    (write,) = plan_limits(state, {"io.max": "8:0 rbps=6\n8:16 wiops=1"})
    assert (write.file, write.value) == ("io.max", "8:0 rbps=6\n8:16 wiops=1")  # type: ignore[attr-defined]
    before = write.before  # type: ignore[attr-defined]
    assert before == "8:0 rbps=5 wbps=max riops=max wiops=9\n8:16 rbps=max wbps=max riops=max wiops=max"


def test_none_takes_a_limit_back() -> None:
    assert [o.describe() for o in plan_limits(OLD, {"pids.max": None, "cpu.max": None})] == [
        "set /c/lab/db/pids.max to max"
    ]


UNIFIED = b"31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V2_BESIDE = b"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
V1_MEMORY = b"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
V1_NAMED = b"40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd"
V1_BLKIO = b"38 31 0:35 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio"
PROC = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t1\t1\nmemory\t4\t1\t1\nblkio\t7\t1\t1\npids\t8\t1\t1\n"


@pytest.mark.parametrize(
    ("mounts", "proc", "mode", "mount", "memory"),
    [
        ([UNIFIED], PROC.replace("memory\t4\t1\t1", "memory\t0\t1\t0"), "unified", "/sys/fs/cgroup",
         "disabled by the kernel's command line (cgroup_disable=memory)"),
        ([UNIFIED], PROC, "unified", "/sys/fs/cgroup", "held by a cgroup v1 hierarchy that is not mounted here"),
        ([UNIFIED], "", "unified", "/sys/fs/cgroup", "this kernel was built without it"),
        ([V1_MEMORY, V1_BLKIO, V1_NAMED, V2_BESIDE], PROC, "hybrid", "/sys/fs/cgroup/unified", HELD),
        ([V1_MEMORY], PROC, "legacy", None, "no cgroup2 file system is mounted"),
        ([], "", "none", None, "no cgroup2 file system is mounted"),
    ],
)  # fmt: skip
def test_who_holds_a_controller(mounts: list[bytes], proc: str, mode: str, mount: str | None, memory: str) -> None:
    found = hierarchy_of([parse_line(m) for m in mounts], proc, {"/sys/fs/cgroup": "cpu", "/sys/fs/cgroup/unified": ""})
    assert (found.mode, found.mount) == (mode, mount)
    why = missing_controllers(found, ["memory.max", "cgroup.max.depth"])
    assert list(why) == ["memory"] and why["memory"].startswith(memory)


def test_io_is_called_blkio_by_cgroup_v1() -> None:
    found = hierarchy_of([parse_line(V1_BLKIO), parse_line(V2_BESIDE)], PROC, {})
    assert found.why_missing("io").startswith("held by the cgroup v1 hierarchy at /sys/fs/cgroup/blkio")
    assert "systemd.unified_cgroup_hierarchy=1" in found.why_missing("io")


def test_a_tree_of_files_is_observed(tmp_path: Any) -> None:
    for path in ("", "lab", "lab/db", "lab/db/inner"):
        directory = tmp_path / path
        directory.mkdir(exist_ok=True)
        contents = {"cgroup.controllers": "cpu pids\n", "cgroup.subtree_control": "pids\n", "cgroup.procs": ""}
        contents |= {"cgroup.events": "populated 1\nfrozen 0\n", "cgroup.freeze": "0\n", "pids.max": "max\n"}
        for name, content in contents.items():
            (directory / name).write_text(content)
    hierarchy = Hierarchy(str(tmp_path), "unified", ("cpu", "pids"))
    state = cgroup_state.observe_cgroup(f"{tmp_path}/lab/db", ["pids.max", "cpu.max"], hierarchy)
    assert state.files == {"pids.max": "max"}
    assert (state.children, state.enabled, state.populated) == (("inner",), ("pids",), True)
    assert [level.path for level in state.levels] == [str(tmp_path), f"{tmp_path}/lab"]
    assert state.levels[0].children == ("lab",)


def test_usage_is_parsed_by_shape() -> None:
    assert cgroup_usage.parse_usage("4096") == 4096
    assert cgroup_usage.parse_usage("usage_usec 5\nuser_usec 3") == {"usage_usec": 5, "user_usec": 3}
    assert cgroup_usage.parse_usage("8:0 rbytes=1 wbytes=2") == {"8:0": {"rbytes": 1, "wbytes": 2}}
    assert cgroup_usage.parse_usage("max") == "max"
    assert cgroup_usage.parse_usage("") == ""
    pressure = cgroup_usage.parse_pressure("some avg10=0.02 avg60=0.50 avg300=0.39 total=7651069")
    assert pressure["some"] == cgroup_usage.Pressure(0.02, 0.5, 0.39, 7651069)


@pytest.mark.parametrize("top", ["barekernel", "barekernel.slice"])
def test_where_containers_have_their_cgroups_no_other_is_made(top: str) -> None:
    path = f"/c/{top}/web"
    with pytest.raises(OptionError, match="containers have their cgroups"):
        actions(Cgroup(path), dataclasses.replace(NEW, path=path, levels=(ROOT, Level(path, False))))
    there = dataclasses.replace(OLD, path=path)
    assert actions(Cgroup(path, files={"pids.max": "7"}), there) == [f"set {path}/pids.max to 7"]
