# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cgroups a host has: where the hierarchy is, who holds its controllers, the state of one cgroup."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from . import cgroup
from .cgroup_usage import settings
from .mountinfo import Mount, read_mountinfo

UNIFIED = "unified"
HYBRID = "hybrid"
LEGACY = "legacy"
NONE = "none"
#: cgroup v2 spells this controller differently from cgroup v1.
_V1_NAMES = {"io": "blkio"}
_BOOT = "boot with systemd.unified_cgroup_hierarchy=1 (without systemd: cgroup_no_v1=all) to give it to cgroup v2"


@dataclass(frozen=True)
class Hierarchy:
    """Where cgroup v2 is mounted and which controllers it has; for those it lacks, who holds them.

    ``mode`` is unified (v2 alone), hybrid (v2 beside v1), legacy (v1 alone) or none. ``missing`` maps each controller
    that this kernel knows and cgroup v2 does not have to the reason, in words.
    """

    mount: str | None
    mode: str
    controllers: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    def why_missing(self, controller: str) -> str:
        """Who holds a controller that cgroup v2 lacks, in words."""
        if self.mount is None:
            return "no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup"
        return self.missing.get(controller, "this kernel does not have it")


@dataclass(frozen=True)
class Neighbour:
    """A child of a level: the controllers it enables further down, and all its settings by file."""

    name: str
    enabled: tuple[str, ...]
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Level:
    """One cgroup with its place in the hierarchy: the one in question, or one on the way down to it.

    ``neighbours`` are its children in detail, read only where we have enabled controllers for them.
    """

    path: str
    exists: bool
    mark: str | None = None
    controllers: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    enabled_by_us: tuple[str, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True)
class CgroupState:
    """One cgroup as it is now. ``processes`` are "PID command"; ``files`` holds the control files that were asked for.

    ``ours`` says that it or a cgroup above it bears our mark. ``frozen`` is what was asked of it (cgroup.freeze).
    ``levels`` are the cgroups above it, from the mount down. ``new``: it is yet to be made, and has no control files.
    """

    path: str
    exists: bool
    hierarchy: Hierarchy
    levels: tuple[Level, ...] = ()
    mark: str | None = None
    ours: bool = False
    controllers: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    frozen: bool = False
    populated: bool = False
    pids: tuple[int, ...] = ()
    processes: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    new: bool = False


def hierarchy_of(mounts: Iterable[Mount], proc_cgroups: str, root_controllers: Mapping[str, str]) -> Hierarchy:
    """Pure: from mountinfo, /proc/cgroups and cgroup.controllers by mount point (see find_hierarchy)."""
    v1: dict[str, str] = {}
    v2: list[str] = []
    for mount in mounts:
        target = os.fsdecode(mount.target)
        if mount.fstype == "cgroup":
            for option in mount.options:
                v1.setdefault(os.fsdecode(option), target)
        elif mount.fstype == "cgroup2" and mount.root == b"/":
            v2.append(target)
    v1 = {name: target for name, target in v1.items() if name not in ("rw", "ro") and "=" not in name}
    point = min(v2, key=_preference, default=None)
    controllers = tuple(root_controllers.get(point, "").split()) if point is not None else ()
    mode = (UNIFIED, HYBRID, NONE, LEGACY)[2 * (point is None) + bool(v1)]
    return Hierarchy(point, mode, controllers, _missing(controllers, v1, proc_cgroups))


def _preference(target: str) -> tuple[bool, bool, int, str]:
    """systemd's two places first, else the shortest path."""
    return (target != "/sys/fs/cgroup", target != "/sys/fs/cgroup/unified", len(target), target)


def _missing(controllers: tuple[str, ...], v1: Mapping[str, str], proc_cgroups: str) -> dict[str, str]:
    """Every controller that one can ask for and v2 has not, with the reason. /proc/cgroups: cgroups(7)."""
    known: dict[str, tuple[str, str]] = {}
    for line in proc_cgroups.splitlines():
        if not line.startswith("#"):
            name, number, _count, enabled = line.split()
            known[name] = (number, enabled)
    reasons = {}
    for name in ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"):
        if name in controllers:
            continue
        old = _V1_NAMES.get(name, name)
        number, enabled = known.get(old, ("0", ""))
        if old in v1:
            reasons[name] = f"held by the cgroup v1 hierarchy at {v1[old]}; {_BOOT}"
        elif number != "0":
            reasons[name] = f"held by a cgroup v1 hierarchy that is not mounted here; {_BOOT}"
        elif enabled == "0":
            reasons[name] = f"disabled by the kernel's command line (cgroup_disable={old})"
        elif enabled == "1":
            reasons[name] = "the kernel has it but did not give it to this cgroup namespace"
        else:
            reasons[name] = "this kernel was built without it"
    return reasons


def find_hierarchy() -> Hierarchy:
    """The host's cgroup v2 hierarchy as this process sees it. Raises KernelError."""
    mounts = read_mountinfo()
    points = [os.fsdecode(m.target) for m in mounts if m.fstype == "cgroup2"]
    controllers = {point: cgroup.read(point, "cgroup.controllers") or "" for point in points}
    return hierarchy_of(mounts, cgroup.read("/proc", "cgroups") or "", controllers)


def level(path: str) -> Level:
    """One cgroup (absolute path), without its control files. Raises KernelError."""
    if not os.path.isdir(path):
        return Level(path, False)
    children, ours = _children(path), cgroup.enabled_by_us(path)
    own = cgroup.processes(path) if os.path.exists(f"{path}/cgroup.type") else ()  # the root may hold processes
    return Level(
        path=path,
        exists=True,
        mark=cgroup.mark_of(path),
        controllers=_words(path, "cgroup.controllers"),
        enabled=_words(path, "cgroup.subtree_control"),
        processes=cgroup.named(own),
        children=children,
        enabled_by_us=ours,
        neighbours=tuple(neighbour(path, child) for child in children) if ours else (),
    )


def neighbour(parent: str, name: str) -> Neighbour:
    """A child of a cgroup in detail. Raises KernelError."""
    path = f"{parent}/{name}"
    return Neighbour(name, _words(path, "cgroup.subtree_control"), settings(path))


def observe_cgroup(
    path: str,
    names: Iterable[str] = (),
    hierarchy: Hierarchy | None = None,
    look: Callable[[str], Level] = level,
) -> CgroupState:
    """One cgroup (absolute path below the cgroup2 mount) and the way down to it. Raises KernelError.

    names: the control files to read; those that do not exist are left out. look: what reads a level.
    """
    hierarchy = hierarchy if hierarchy is not None else find_hierarchy()
    levels = tuple(look(above) for above in _way_down(hierarchy.mount or "/", path))
    own = look(path)
    if not own.exists:
        return CgroupState(path, False, hierarchy, levels)
    files = {name: cgroup.read(path, name) for name in names}
    return CgroupState(
        path=path,
        exists=True,
        hierarchy=hierarchy,
        levels=levels,
        mark=own.mark,
        ours=any(each.mark is not None for each in (*levels, own)),
        controllers=own.controllers,
        enabled=own.enabled,
        files={name: value for name, value in files.items() if value is not None},
        frozen=cgroup.read(path, "cgroup.freeze") == "1",
        populated=cgroup.populated(path),
        pids=cgroup.processes(path),
        processes=cgroup.holders(path),
        children=own.children,
        new=not os.path.isdir(path),
    )


def _way_down(mount: str, path: str) -> list[str]:
    """The mount and every cgroup between it and path, from the top."""
    parts = os.path.relpath(path, mount).split("/")
    return [os.path.normpath("/".join([mount, *parts[:depth]])) for depth in range(len(parts))]


def _words(path: str, name: str) -> tuple[str, ...]:
    return tuple((cgroup.read(path, name) or "").split())


def _children(path: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)))
    except FileNotFoundError:
        return ()
