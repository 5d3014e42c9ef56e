# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers come and go at the same time: what they share goes with the last of them, under the next one's feet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import find_hierarchy
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import cgroups, state

TURNS = 300


def at_once(*work: Callable[[], None]) -> None:
    """Each in a process of its own, until all are done; none may have failed."""
    children = []
    for each in work:
        child = os.fork()
        if child == 0:
            try:
                each()
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


def test_ids_are_taken_while_the_directory_above_goes_with_the_last_one(tmp_path: Path) -> None:
    root = str(tmp_path / "root")

    def come_and_go(name: str) -> None:
        for _turn in range(TURNS):
            state.reserve(root, name)
            state.forget(root, name)

    at_once(lambda: come_and_go("a"), lambda: come_and_go("b"), lambda: come_and_go("c"))
    assert not os.path.exists(root)


def test_containers_are_listed_while_they_come_and_go(tmp_path: Path) -> None:
    root = str(tmp_path / "root")

    def come_and_go() -> None:
        for _turn in range(TURNS):
            state.reserve(root, "a")
            state.write(state.Container(root, "a", 1, 1, "/bundle", "1.2.0", "now", None, {}, False))
            state.forget(root, "a")

    def look() -> None:
        for _turn in range(TURNS * 10):
            assert [container.id for container in state.read_all(root)] in ([], ["a"])

    at_once(come_and_go, look)


def test_cgroups_are_made_while_the_one_above_goes_with_the_last_one() -> None:
    above = f"{find_hierarchy().mount}/bktest-{os.getpid()}"

    def come_and_go(name: str) -> None:
        for _turn in range(TURNS):
            cgroups.make(f"{above}/between/{name}", {"cgroup.max.depth": "3"})
            cgroups.destroy(f"{above}/between/{name}")

    at_once(lambda: come_and_go("a"), lambda: come_and_go("b"), lambda: come_and_go("c"))
    assert not os.path.exists(above)
