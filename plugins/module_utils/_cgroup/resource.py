# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resource cgroup_v2, and what it shares with containers: limits as options to control files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .._boot.kept import KeptResource, record_name
from .._boot.plan import CGROUPS
from .._boot.resource import Boot
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import OptionError, Refused
from .._kernel import cgroup, process
from .._kernel.cgroup_state import Hierarchy, find_hierarchy, observe_cgroup
from .._kernel.cgroup_usage import observe_usage
from .observe import limit_files
from .plan import Cgroup, CgroupObserved, plan_cgroup

#: PF_KTHREAD in the flags of proc_pid_stat(5): a kernel thread cannot change its cgroup.
_KERNEL_THREAD = 0x00200000


def absolute_path(path: str, hierarchy: Hierarchy) -> str:
    """An option's path as an absolute one below the cgroup2 mount. Raises OptionError, Refused."""
    if hierarchy.mount is None:
        raise Refused("path: " + hierarchy.why_missing(""))
    if "\0" in path or "\n" in path:
        raise OptionError("path", path, "the name of a cgroup cannot hold NUL or a line end")
    absolute = os.path.isabs(path)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OptionError("path", path, "must not contain '..'")
    joined = "/" + "/".join(parts) if absolute else "/".join([hierarchy.mount, *parts])
    if joined != hierarchy.mount and not joined.startswith(hierarchy.mount + "/"):
        raise OptionError("path", path, f"is not below the cgroup2 mount {hierarchy.mount}")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise OptionError("path", path, "has a name longer than 255 bytes")
    if os.path.lexists(joined) and os.path.realpath(joined) != joined:
        raise OptionError("path", path, "leads through a symbolic link")
    if os.path.lexists(joined) and not os.path.isdir(joined):
        raise OptionError("path", path, "is a control file, not a cgroup")
    return joined


class CgroupResource(KeptResource[Cgroup, CgroupObserved]):
    """One cgroup: made, limited, filled, frozen, removed."""

    name = "cgroup_v2"
    service = CGROUPS
    # One lock for all: enabling controllers and tidying up reach into the cgroups above.
    lock_names = ("cgroup",)

    def desired(self, params: Mapping[str, Any]) -> Cgroup:
        hierarchy = find_hierarchy()
        path = absolute_path(params["path"], hierarchy)
        if path == hierarchy.mount:
            raise OptionError("path", params["path"], "is the root of the hierarchy, which has no limits")
        if params["state"] == "absent":
            return Cgroup(path, False, kill=params["kill"], recursive=params["recursive"])
        return Cgroup(
            path=path,
            files=limit_files(params["limits"]),
            processes=_processes(params["pids"] or []),
            freeze=params["freeze"],
            # Processes do not outlive a boot.
            kept={**params, "pids": None} if params.get("systemd") else None,
        )

    def boot(self, desired: Cgroup) -> Boot:
        return Boot(record_name("path", desired.path), desired.kept is not None, desired.kept)

    def observe(self, desired: Cgroup, world: World) -> CgroupObserved:
        state = observe_cgroup(desired.path, desired.files)
        where = {}
        for pid, started in desired.processes.items():
            now = cgroup.cgroup_of(pid, state.hierarchy.mount or "")
            if now is not None and process.alive(pid, started):  # asked afterwards: so it was that one's
                where[pid] = now
        mount = state.hierarchy.mount or ""
        own = cgroup.cgroup_of(os.getpid(), mount) or ""
        lineage = process.lineage(os.getpid()) if desired.freeze or state.frozen else ()
        return CgroupObserved(state, where, own, {pid: cgroup.cgroup_of(pid, mount) or "" for pid in lineage})

    def plan(self, desired: Cgroup, observed: CgroupObserved) -> Plan:
        return plan_cgroup(desired, observed)

    def facts(self, desired: Cgroup, observed: CgroupObserved) -> dict[str, Any]:
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


def _processes(pids: list[int]) -> dict[int, int]:
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
    if gone:
        raise OptionError("pids", gone if len(gone) > 1 else gone[0], "no such process runs")
    return found


class CgroupInfo:
    """What cgroup_v2_info returns."""

    name = "cgroup_v2_info"

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The cgroups named, with recursive also all below them, parents first. Raises OptionError, Refused."""
        hierarchy = find_hierarchy()
        paths: list[str] = []
        for path in params["paths"]:
            top = absolute_path(path, hierarchy)
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
