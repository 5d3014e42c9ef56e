# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cgroups that plans of one run make and remove: what each plan sees of those before it."""

from __future__ import annotations

from ansible_collections.barekernel.containers.plugins.module_utils._cgroup.plan import (
    Cgroup,
    CgroupObserved,
    plan_cgroup,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core import observe_cgroups
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import expect
from ansible_collections.barekernel.containers.plugins.module_utils._core.observe_world import World
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup_state
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import (
    UNIFIED,
    Hierarchy,
    Level,
)

#: No such directory: all that is in it is expected.
MOUNT = "/nowhere/cgroup"
LIMIT = {"pids.max": "9"}


def host(*children: str) -> World:
    world = World()
    world.expect(Hierarchy(MOUNT, UNIFIED, ("pids",)), cgroup_state.find_hierarchy)
    world.expect(Level(MOUNT, True, controllers=("pids",), children=children), cgroup_state.level, MOUNT)
    return world


def planned(world: World, name: str, **declared: object) -> list[str]:
    """The plan of one, after which the world is as it leaves it."""
    wanted = Cgroup(f"{MOUNT}/{name}", **declared)  # type: ignore[arg-type]
    plan = plan_cgroup(wanted, CgroupObserved(observe_cgroups.observe(world, wanted.path, wanted.files)))
    expect(plan, world)
    return [action.replace(MOUNT, "") for action in plan.actions]


def test_a_parent_is_made_once_and_goes_with_the_last() -> None:
    world = host()
    assert planned(world, "a/one") == ["make cgroup /a", "make cgroup /a/one"]
    assert planned(world, "a/two") == ["make cgroup /a/two"]
    assert planned(world, "a/one", present=False) == ["remove cgroup /a/one"]
    assert planned(world, "a/two", present=False) == ["remove cgroup /a/two", "remove cgroup /a"]
    assert planned(world, "a/two", present=False) == []


def test_controllers_are_enabled_once_and_as_long_as_one_relies_on_them() -> None:
    world = host()
    enable, limit = "enable pids for the children of cgroup ", "set {}/pids.max to 9"
    assert planned(world, "one", files=LIMIT) == [enable, "make cgroup /one", limit.format("/one")]
    assert planned(world, "two", files=LIMIT) == ["make cgroup /two", limit.format("/two")]
    # One whose child has the limit relies on it as well, and a cgroup of ours is free to keep what it enabled.
    assert planned(world, "in/it", files=LIMIT) == [
        "make cgroup /in",
        "enable pids for the children of cgroup /in",
        "make cgroup /in/it",
        limit.format("/in/it"),
    ]
    assert planned(world, "one", present=False) == ["remove cgroup /one"]
    assert planned(world, "two", present=False) == ["remove cgroup /two"]
    assert planned(world, "in/it", present=False) == [
        "remove cgroup /in/it",
        "remove cgroup /in",
        "disable pids for the children of cgroup ",
    ]
    assert planned(world, "one", files=LIMIT)[0] == enable


def test_what_is_below_one_that_goes_is_gone_too() -> None:
    world = host()
    planned(world, "a/one/deep")
    planned(world, "a")
    assert planned(world, "a", present=False, recursive=True) == ["remove cgroup /a and all below it"]
    assert not observe_cgroups.level(world, f"{MOUNT}/a/one").exists
    assert not observe_cgroups.level(world, f"{MOUNT}/a/one/unheard-of").exists


def test_one_made_on_the_way_is_adopted_with_its_limits() -> None:
    world = host()
    planned(world, "a/one")
    assert planned(world, "a", files=LIMIT) == [
        "keep cgroup /a for its own sake",
        "enable pids for the children of cgroup ",
        "set /a/pids.max to 9",
    ]
    assert planned(world, "a/one", present=False) == ["remove cgroup /a/one"]
