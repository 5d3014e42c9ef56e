# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cgroups of a host as they are and, with what plans will make of them, as they will be."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from .._kernel import cgroup_state
from .._kernel.cgroup_state import CgroupState, Hierarchy, Level, Neighbour

if TYPE_CHECKING:
    from .observe_world import World


def hierarchy(world: World) -> Hierarchy:
    """The host's cgroup v2 hierarchy. Raises KernelError."""
    return world.read(cgroup_state.find_hierarchy)


def observe(world: World, path: str, names: Iterable[str] = ()) -> CgroupState:
    """One cgroup (absolute path) and the way down to it, with these control files. Raises KernelError."""
    return cgroup_state.observe_cgroup(path, names, hierarchy(world), lambda each: level(world, each))


def level(world: World, path: str) -> Level:
    """One cgroup without its control files. Raises KernelError."""
    above, name = posixpath.split(path)
    known, above_known = (world.knows(cgroup_state.level, each) for each in (path, above))
    # What goes takes all that is below it along.
    if not known and above_known and name not in world.read(cgroup_state.level, above).children:
        return Level(path, False)
    return world.read(cgroup_state.level, path)


def expect_made(world: World, path: str, mark: str) -> None:
    """There is that cgroup now, marked so; what it was before is not lost where it is there already."""
    found = level(world, path)
    if found.exists:
        _put(world, replace(found, mark=mark))
        return
    above, name = posixpath.split(path)
    parent = level(world, above)
    _put(world, Level(path, True, mark, parent.enabled))
    siblings = tuple(each for each in parent.neighbours if each.name != name)
    _put(
        world,
        replace(
            parent,
            children=tuple(sorted({*parent.children, name})),
            neighbours=(*siblings, Neighbour(name, (), {})),
        ),
    )


def expect_gone(world: World, path: str) -> None:
    """There is no such cgroup any more, nor any below it."""
    for (known,), found in world.known(cgroup_state.level):
        if found.exists and (known == path or known.startswith(path + "/")):
            _put(world, Level(known, False))
    above, name = posixpath.split(path)
    parent = level(world, above)
    _put(world, Level(path, False))
    _put(
        world,
        replace(
            parent,
            children=tuple(each for each in parent.children if each != name),
            neighbours=tuple(each for each in parent.neighbours if each.name != name),
        ),
    )


def expect_enabled(world: World, path: str, controllers: Iterable[str]) -> None:
    """These controllers are enabled for its children."""
    found, added = level(world, path), set(controllers)
    known = {each.name: each for each in found.neighbours}
    _put(
        world,
        replace(
            found,
            enabled=tuple(sorted({*found.enabled, *added})),
            enabled_by_us=tuple(sorted({*found.enabled_by_us, *added})) if found.mark is None else (),
            neighbours=tuple(known.get(name) or cgroup_state.neighbour(path, name) for name in found.children),
        ),
    )
    _change_neighbour(world, path, enabled=added)


def expect_disabled(world: World, path: str, controllers: Iterable[str]) -> None:
    """These controllers are not enabled for its children any more."""
    found, removed = level(world, path), set(controllers)
    _put(
        world,
        replace(
            found,
            enabled=tuple(each for each in found.enabled if each not in removed),
            enabled_by_us=tuple(each for each in found.enabled_by_us if each not in removed),
        ),
    )
    _change_neighbour(world, path, disabled=removed)


def expect_setting(world: World, path: str, file: str, value: str) -> None:
    """That control file has that value: its controller is not to be disabled in the cgroup above."""
    _change_neighbour(world, path, settings={file: value})


def _change_neighbour(
    world: World,
    path: str,
    enabled: Iterable[str] = (),
    disabled: Iterable[str] = (),
    settings: dict[str, str] | None = None,
) -> None:
    """What the cgroup above knows of its child, where it knows anything."""
    above, name = posixpath.split(path)
    if not world.knows(cgroup_state.level, above):
        return
    parent = level(world, above)
    changed = tuple(
        Neighbour(
            each.name,
            tuple(sorted({*each.enabled, *enabled} - set(disabled))),
            {**each.settings, **(settings or {})},
        )
        if each.name == name
        else each
        for each in parent.neighbours
    )
    _put(world, replace(parent, neighbours=changed))


def _put(world: World, found: Level) -> None:
    world.expect(found, cgroup_state.level, found.path)
