# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner of cgroups: limits on any cgroup, and cgroups of our own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._core.errors import OptionError, Refused
from .._core.operation import Change, Operation, Plan
from .._kernel.cgroup_state import CgroupState, Hierarchy, Level, Neighbour
from .limit_values import same, unquirked
from .limits import controllers_of, default_of, option_of
from .operations import (
    IMPLIED,
    AdoptCgroup,
    AttachProcess,
    DisableControllers,
    EnableControllers,
    Freeze,
    KillCgroup,
    MakeCgroup,
    RemoveCgroup,
    WriteCgroupFile,
)

#: How many processes or cgroups an error names.
_NAMED = 8
#: What holds the cgroups of containers, without systemd and with it.
_OF_CONTAINERS = ("barekernel", "barekernel.slice")


@dataclass(frozen=True)
class Declared:
    """A cgroup as declared, before anything of a host is looked at: its path and ``limits`` as they were given.

    ``kept`` are the options that are kept for the next boot, None where nothing is. ``applied`` is set for the second
    look: of ``pids`` some may be over by then.
    """

    path: str
    present: bool = True
    limits: Mapping[str, Any] | None = None
    pids: tuple[int, ...] = ()
    freeze: bool | None = None
    kill: bool = False
    recursive: bool = False
    kept: Mapping[str, Any] | None = None
    applied: bool = False


@dataclass(frozen=True)
class Cgroup:
    """The same on this host (absolute path below the cgroup2 mount).

    ``files`` are limits_to_files(); ``processes`` maps PIDs to their start times; ``freeze`` None leaves it as it is.
    """

    path: str
    present: bool = True
    files: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[int, int] = field(default_factory=dict)
    freeze: bool | None = None
    kill: bool = False
    recursive: bool = False


@dataclass(frozen=True)
class CgroupObserved:
    """``where`` maps the PIDs that are to be attached to the cgroup each is in; those that are over are not in it.

    ``own`` is the cgroup of this process: what holds it is neither frozen nor killed. ``lineage`` maps this process and
    its ancestors to the cgroup of each: none of them is frozen, as this process would then be waited for in vain.
    ``wanted`` is what is declared, as it is meant on this host.
    """

    state: CgroupState
    where: Mapping[int, str] = field(default_factory=dict)
    own: str = ""
    lineage: Mapping[int, str] = field(default_factory=dict)
    wanted: Cgroup = Cgroup("")


def plan_cgroup(desired: Cgroup, observed: CgroupObserved) -> Plan:
    """Make, limit, fill and freeze a cgroup, or remove it. Raises Refused."""
    state = observed.state
    if not desired.present:
        before = {"path": state.path, "processes": list(state.processes)} if state.exists else {}
        return Plan(tuple(_absent(desired, observed)), before, {})
    refuse_missing(state.hierarchy, desired.files)
    operations: list[Operation] = []
    if not state.exists:
        _refuse_containers(state)
        operations += make_operations(state)
    elif state.mark == IMPLIED:
        operations.append(AdoptCgroup(state.path))
    operations = _with_controllers(operations, state, controllers_of(desired.files))
    operations += _writes(state, desired.files)
    operations += _attach(desired, observed)
    if state.frozen if desired.freeze is None else desired.freeze:
        _refuse_own_end(desired, observed)
    if desired.freeze is not None and desired.freeze != state.frozen:
        operations.append(Freeze(state.path, desired.freeze))
    before, after = _views(desired, observed)
    return Plan(tuple(operations), before, after, _changes(before, after))


def _refuse_containers(state: CgroupState) -> None:
    """A container that comes later would take the cgroup for its own, and end what is in it. Raises OptionError."""
    top = state.path[len(state.hierarchy.mount or "") :].strip("/").partition("/")[0]
    if top in _OF_CONTAINERS:
        raise OptionError("path", state.path, f"containers have their cgroups below {top}: choose another path")


def _refuse_own_end(desired: Cgroup, observed: CgroupObserved) -> None:
    """Raises OptionError where what is frozen holds this task or one of its ancestors."""
    path = observed.state.path
    if _is_in(observed.own, path):
        raise OptionError("freeze", True, f"this task itself runs in {observed.own}, so it would never end")
    for pid, where in observed.lineage.items():
        words = "runs this task, which would never end once that is frozen"
        if pid in desired.processes:
            raise OptionError("pids", pid, f"{words}: leave it out, or do not freeze {path}")
        if _is_in(where, path):
            raise OptionError("freeze", True, f"process {pid} in {where} {words}: move it to another cgroup first")


def missing_controllers(hierarchy: Hierarchy, files: Iterable[str]) -> dict[str, str]:
    """The controllers that these control files need and cgroup v2 lacks, each with who holds it, in words."""
    lacking = controllers_of(files) - set(hierarchy.controllers)
    return {controller: hierarchy.why_missing(controller) for controller in sorted(lacking)}


def refuse_missing(hierarchy: Hierarchy, files: Iterable[str]) -> None:
    """Raises Refused where missing_controllers() finds any, OptionError where no kernel has such a controller."""
    missing = missing_controllers(hierarchy, files)
    for file in files:
        controller = file.partition(".")[0]
        if controller in missing and controller not in hierarchy.missing:
            words = f"no controller is called {controller}: on this host there are {', '.join(hierarchy.controllers)}"
            raise OptionError("limits.raw", file, words)
    if missing:
        reasons = ". ".join(f"{controller}: {why}" for controller, why in missing.items())
        raise Refused(f"limits: cgroup v2 on this host lacks {', '.join(missing)}. {reasons}")


def plan_limits(state: CgroupState, wanted: Mapping[str, str | None]) -> list[Operation]:
    """Operations that give an existing cgroup these values; None takes a limit back to the kernel's default.

    Enables the controllers on the way down where they are not. Raises Refused.
    """
    files = {n: v if v is not None else default_of(n, state.files.get(n, "")) for n, v in wanted.items()}
    # A limit whose controller is not enabled needs no taking back.
    files = {n: v for n, v in files.items() if wanted[n] is not None or n in state.files}
    refuse_missing(state.hierarchy, files)
    return _with_controllers([], state, controllers_of(files)) + _writes(state, files)


def limits_view(state: CgroupState, wanted: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """What the wanted files say now, in the wanted spelling where it means the same; None: there is no such file.

    Without wanted: all that were read.
    """
    if wanted is None:
        return dict(state.files)
    return {
        name: value if same(name, value, state.files.get(name)) else state.files.get(name)
        for name, value in wanted.items()
    }


def make_operations(state: CgroupState) -> list[Operation]:
    """Make the cgroup and every one above it that is missing."""
    above: list[Operation] = [MakeCgroup(level.path, IMPLIED) for level in state.levels if not level.exists]
    return [*above, MakeCgroup(state.path)]


def tidy_operations(state: CgroupState) -> list[Operation]:
    """What is not needed any more once this cgroup is gone.

    Cgroups made on the way to it, when they hold nothing else; controllers that we enabled for the children of a
    foreign cgroup, when no other child enables them further or has a setting of theirs that is not the default.
    """
    operations: list[Operation] = []
    gone = state.path.rpartition("/")[2]
    for level in reversed([level for level in state.levels if level.exists]):
        if level.mark == IMPLIED and not level.processes and not set(level.children) - {gone}:
            operations.append(RemoveCgroup(level.path))
            gone = level.path.rpartition("/")[2]
            continue
        others = [neighbour for neighbour in level.neighbours if neighbour.name != gone]
        idle = tuple(c for c in level.enabled_by_us if not any(_relies_on(other, c) for other in others))
        if idle and level.mark is None:
            operations.append(DisableControllers(level.path, idle))
        break
    return operations


def _relies_on(neighbour: Neighbour, controller: str) -> bool:
    own = {name: value for name, value in neighbour.settings.items() if name.partition(".")[0] == controller}
    set_by_someone = any(unquirked(name, value) != default_of(name) for name, value in own.items())
    return set_by_someone or controller in neighbour.enabled


def _with_controllers(operations: list[Operation], state: CgroupState, needed: set[str]) -> list[Operation]:
    """Each level enables what the target needs as soon as it exists, from the top down. Raises Refused."""
    answer = list(operations)
    for level in state.levels:
        lacking = tuple(sorted(needed - set(level.enabled)))
        if not lacking:
            continue
        if level.processes:
            raise Refused(_internal_processes(level, lacking))
        made = [i for i, o in enumerate(answer) if isinstance(o, MakeCgroup) and o.path == level.path]
        first_made = next((i for i, o in enumerate(answer) if isinstance(o, MakeCgroup)), len(answer))
        answer.insert(made[0] + 1 if made else first_made, EnableControllers(level.path, lacking))
    return answer


def _internal_processes(level: Level, controllers: tuple[str, ...]) -> str:
    return (
        f"path: cgroup {level.path} would have to enable {', '.join(controllers)} for its children, and the kernel "
        f'does not let a cgroup that has processes of its own do so ("no internal processes"). In it: '
        f"{_some(level.processes)}. Move them to a child cgroup first, or choose a path that does not lead through it"
    )


def _writes(state: CgroupState, files: Mapping[str, str]) -> list[Operation]:
    operations: list[Operation] = []
    for name, value in files.items():
        current = state.files.get(name)
        if (
            current is None
            and name.partition(".")[0] in (*state.controllers, "cgroup")
            and state.exists
            and not state.new
        ):
            words = f"this kernel has no {name} (cgroup {state.path} does not offer it)"
            raise OptionError(option_of(name), value, words)
        if state.exists and current is not None:
            if not same(name, value, current):
                operations.append(WriteCgroupFile(state.path, name, value, _undo_value(name, value, current)))
        elif value != default_of(name) or name.startswith("io."):
            operations.append(WriteCgroupFile(state.path, name, value))
    return operations


def _undo_value(name: str, value: str, current: str) -> str:
    """What puts a file back: of files with a line a device, the lines of the devices that are written."""
    if name not in ("io.max", "io.weight"):
        return current
    lines = {line.split()[0]: line for line in current.splitlines()}
    devices = [line.split()[0] for line in value.splitlines()]
    unset = "{} rbps=max wbps=max riops=max wiops=max" if name == "io.max" else "{} default"
    return "\n".join(lines.get(device, unset.format(device)) for device in devices)


def _attach(desired: Cgroup, observed: CgroupObserved) -> list[Operation]:
    state = observed.state
    moves = [
        AttachProcess(state.path, pid, started)
        for pid, started in sorted(desired.processes.items())
        if pid in observed.where and not _is_in(observed.where[pid], state.path)
    ]
    if moves and state.enabled:
        raise Refused(
            f"pids: cgroup {state.path} has enabled {', '.join(state.enabled)} for its children, so it cannot hold "
            f'processes of its own ("no internal processes"); attach to one of its children: {_some(state.children)}'
        )
    return list(moves)


def _is_in(path: str, ancestor: str) -> bool:
    return path == ancestor or path.startswith(ancestor.rstrip("/") + "/")


def _absent(desired: Cgroup, observed: CgroupObserved) -> list[Operation]:
    state = observed.state
    if not state.exists:
        return tidy_operations(state)
    if not state.ours:
        raise Refused(
            f"path: cgroup {state.path} was not made by this collection, so it is not removed. Its limits can be set; "
            "to remove it, use what made it (systemctl, or rmdir)"
        )
    if state.children and not desired.recursive:
        raise Refused(
            f"path: cgroup {state.path} has child cgroups: {_some(state.children)}. Remove these first, or say "
            "recursive=true"
        )
    if state.populated and not desired.kill:
        who = _some(state.processes) or "none that this PID namespace shows"
        raise Refused(f"path: cgroup {state.path} has processes: {who}. End them first, or say kill=true")
    if state.populated and _is_in(observed.own, state.path):
        raise Refused(f"kill: this task itself runs in {observed.own}, so it would kill itself")
    killing: list[Operation] = [KillCgroup(state.path)] if state.populated else []
    return [*killing, RemoveCgroup(state.path, bool(state.children)), *tidy_operations(state)]


def _views(desired: Cgroup, observed: CgroupObserved) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cgroup as plain data, before and after, of what was asked for."""
    state = observed.state
    wanted = {pid: pid for pid in sorted(desired.processes) if pid in observed.where}
    after: dict[str, Any] = {"path": desired.path, "limits": dict(desired.files)}
    before: dict[str, Any] = {"path": desired.path, "limits": limits_view(state, desired.files)}
    if desired.freeze is not None:
        before["freeze"], after["freeze"] = state.frozen, desired.freeze
    if wanted:
        after["pids"] = list(wanted)
        before["pids"] = [pid for pid in wanted if _is_in(observed.where[pid], state.path)]
    return (before if state.exists else {}), after


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    if not before:  # then Plan takes none
        return ()
    limits = [
        Change(f"limits.{name}", before["limits"][name], value)
        for name, value in after["limits"].items()
        if before["limits"][name] != value
    ]
    others = [Change(k, before[k], after[k]) for k in ("freeze", "pids") if k in after and before[k] != after[k]]
    return (*limits, *others)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
