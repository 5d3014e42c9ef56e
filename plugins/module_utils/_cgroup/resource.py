# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resource cgroup_v2, and what it shares with containers: limits as options to control files."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from .._boot.kept import KeptResource, record_name
from .._boot.plan import CGROUPS
from .._boot.resource import Boot
from .._core import observe_cgroups
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import OptionError, Refused
from .._kernel import cgroup, process
from .._kernel.cgroup_state import Hierarchy, find_hierarchy, observe_cgroup
from .._kernel.cgroup_usage import observe_usage
from .observe import limit_files
from .plan import Cgroup, CgroupObserved, Declared, plan_cgroup

#: PF_KTHREAD in the flags of proc_pid_stat(5): a kernel thread cannot change its cgroup.
_KERNEL_THREAD = 0x00200000
#: PATH_MAX of the kernel, with room for where cgroup2 is mounted.
_LONGEST = 4000
#: Names that systemd leaves to the kernel as well (cg_needs_escape()): every cgroup has such files, or may get them.
_CONTROL_FILE = re.compile(r"(cgroup|cpu|cpuset|dmem|hugetlb|io|memory|misc|perf_event|pids|rdma)\..*")


def parts_of(path: str, option: str = "path") -> list[str]:
    """The components of an option's path. Raises OptionError for what no cgroup can be called."""
    if "\0" in path or "\n" in path:
        raise OptionError(option, path, "the name of a cgroup cannot hold NUL or a line end")
    if len(os.fsencode(path)) > _LONGEST:
        raise OptionError(option, path, f"no path of a cgroup can be longer than {_LONGEST} bytes")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OptionError(option, path, "must not contain '..'")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise OptionError(option, path, "has a name longer than 255 bytes")
    return parts


def absolute_path(path: str, hierarchy: Hierarchy, option: str = "path") -> str:
    """An option's path as an absolute one below the cgroup2 mount. Raises OptionError, Refused."""
    if hierarchy.mount is None:
        raise Refused(f"{option}: " + hierarchy.why_missing(""))
    parts = parts_of(path, option)
    joined = "/" + "/".join(parts) if os.path.isabs(path) else "/".join([hierarchy.mount, *parts])
    if joined != hierarchy.mount and not joined.startswith(hierarchy.mount + "/"):
        raise OptionError(option, path, f"is not below the cgroup2 mount {hierarchy.mount}")
    for place in itertools.accumulate(joined[len(hierarchy.mount) :].split("/"), lambda above, name: f"{above}/{name}"):
        _check_place(option, path, hierarchy.mount + place)
    return joined


def _check_place(option: str, path: str, place: str) -> None:
    """Each cgroup on the way. Raises OptionError."""
    if not os.path.lexists(place):
        if _CONTROL_FILE.fullmatch(os.path.basename(place)):
            raise OptionError(option, path, f"{os.path.basename(place)} is the name of a control file, not of a cgroup")
    elif os.path.realpath(place) != place:
        raise OptionError(option, path, "leads through a symbolic link")
    elif not os.path.isdir(place):
        raise OptionError(option, path, f"{os.path.basename(place)} is a control file, not a cgroup")


class CgroupResource(KeptResource[Declared, CgroupObserved]):
    """One cgroup: made, limited, filled, frozen, removed."""

    name = "cgroup_v2"
    service = CGROUPS
    # One lock for all: enabling controllers and tidying up reach into the cgroups above.
    lock_names = ("cgroup",)

    def desired(self, params: Mapping[str, Any]) -> Declared:
        path = params["path"]
        parts_of(path)
        if params["state"] == "absent":
            return Declared(path, False, kill=params["kill"], recursive=params["recursive"])
        return Declared(
            path=path,
            limits=params["limits"],
            pids=tuple(params["pids"] or ()),
            freeze=params["freeze"],
            # Processes do not outlive a boot.
            kept={**params, "pids": None} if params.get("systemd") else None,
        )

    def settled(self, desired: Declared) -> Declared:
        return replace(desired, applied=True)

    def boot(self, desired: Declared) -> Boot:
        path = absolute_path(desired.path, find_hierarchy())
        return Boot(record_name("path", path), desired.kept is not None, desired.kept)

    def observe(self, desired: Declared, world: World) -> CgroupObserved:
        wanted = on_host(desired, observe_cgroups.hierarchy(world))
        state = observe_cgroups.observe(world, wanted.path, wanted.files)
        where = {}
        for pid, started in wanted.processes.items():
            now = cgroup.cgroup_of(pid, state.hierarchy.mount or "")
            if now is not None and process.alive(pid, started):  # asked afterwards: so it was that one's
                where[pid] = now
        mount = state.hierarchy.mount or ""
        own = cgroup.cgroup_of(os.getpid(), mount) or ""
        lineage = process.lineage(os.getpid()) if desired.freeze or state.frozen else ()
        return CgroupObserved(state, where, own, {pid: cgroup.cgroup_of(pid, mount) or "" for pid in lineage}, wanted)

    def plan(self, desired: Declared, observed: CgroupObserved) -> Plan:
        return plan_cgroup(observed.wanted, observed)

    def facts(self, desired: Declared, observed: CgroupObserved) -> dict[str, Any]:
        state = observed.state
        return {
            "cgroup": {
                "path": state.path,
                "exists": state.exists,
                "controllers": list(state.controllers),
                "limits": dict(state.files),
                "frozen": state.frozen,
                "processes": [int(words.split()[0]) for words in state.processes],
                "children": list(state.children),
            }
        }


def on_host(declared: Declared, hierarchy: Hierarchy) -> Cgroup:
    """What is declared as it is meant on this host. Raises OptionError, Refused."""
    path = absolute_path(declared.path, hierarchy)
    if path == hierarchy.mount:
        raise OptionError("path", declared.path, "is the root of the hierarchy, which has no limits")
    return Cgroup(
        path=path,
        present=declared.present,
        files=limit_files(declared.limits),
        processes=_processes(declared.pids, may_be_over=declared.applied),
        freeze=declared.freeze,
        kill=declared.kill,
        recursive=declared.recursive,
    )


def _processes(pids: Sequence[int], may_be_over: bool) -> dict[int, int]:
    """The processes by PID with their start times, which tell them from later ones of the same PID. OptionError."""
    found: dict[int, int] = {}
    gone = []
    for pid in pids:
        fields = process.stat_fields(pid) if pid > 0 else []
        if not fields or fields[0] in ("Z", "X"):
            gone.append(pid)
        elif int(fields[6]) & _KERNEL_THREAD:
            raise OptionError("pids", pid, f"is a kernel thread ({process.command(pid)}), which cannot be moved")
        else:
            found[pid] = int(fields[19])
    if gone and not may_be_over:
        raise OptionError("pids", gone if len(gone) > 1 else gone[0], "no such process runs")
    return found


class CgroupInfo:
    """What cgroup_v2_info returns."""

    name = "cgroup_v2_info"

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The cgroups named, with recursive also all below them, parents first. Raises OptionError, Refused."""
        hierarchy = find_hierarchy()
        paths: list[str] = []
        for index, path in enumerate(params["paths"]):
            top = absolute_path(path, hierarchy, f"paths[{index}]")
            paths += reversed(cgroup.subtree(top)) if params["recursive"] and os.path.isdir(top) else (top,)
        found = [self._describe(path, hierarchy) for path in dict.fromkeys(paths)]
        return {"cgroups": found, "hierarchy": asdict(hierarchy)}

    def _describe(self, path: str, hierarchy: Hierarchy) -> dict[str, Any]:
        state = observe_cgroup(path, (), hierarchy)
        return {
            "path": path,
            "exists": state.exists,
            "ours": state.ours,
            "controllers": list(state.controllers),
            "enabled": list(state.enabled),
            "frozen": state.frozen,
            "populated": state.populated,
            "pids": list(state.pids),
            "children": list(state.children),
            **asdict(observe_usage(path)),
        }
