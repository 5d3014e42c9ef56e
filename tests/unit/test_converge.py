# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one loop: whatever fails, the error says what was done before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import (
    Interrupted,
    NotConverged,
    converge_locked,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.observe_world import World
from ansible_collections.barekernel.containers.plugins.module_utils._core.operation import Caveat, Operation, Plan
from ansible_collections.barekernel.containers.plugins.module_utils._core.resource import CommandFailed, Resource
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError


@dataclass(frozen=True)
class Step(Operation):
    """Says what it is; fails where it is to."""

    what: str
    error: Exception | None = None
    answer: Caveat | None = None

    def describe(self) -> str:
        return self.what

    def execute(self, kernel: Any) -> Caveat | None:
        if self.error is not None:
            raise self.error
        return self.answer


class Steps(Resource[Any, int]):
    """Plans its steps at the first look; at the second one what ``then`` says, or fails with it."""

    def __init__(self, steps: tuple[Step, ...], then: Any = ()) -> None:
        self.steps, self.then, self.looks = steps, then, 0

    def observe(self, desired: Any, world: World) -> int:
        self.looks += 1
        return self.looks

    def plan(self, desired: Any, observed: int) -> Plan:
        if observed == 1:
            return Plan(self.steps)
        if isinstance(self.then, Exception):
            raise self.then
        return Plan(self.then)

    def kernel(self) -> Any:
        return None


FIRST, SECOND = Step("eth0 in netns a: set up"), Step("start container web")


@pytest.mark.parametrize(
    "error", [OverflowError("too large"), RuntimeError("no"), OSError("no"), ValueError("no"), KeyError("no")]
)
def test_a_step_that_fails_leaves_a_list_of_those_before_it(error: Exception) -> None:
    with pytest.raises(Interrupted) as failed:
        converge_locked(Steps((FIRST, Step("stop container web", error))), None)
    assert failed.value.done == [FIRST.what]
    assert str(failed.value) == f"failed: stop container web: {error}"


@dataclass(frozen=True)
class Undoable(Step):
    """Can be taken back, says what was done instead, or cannot."""

    instead: str | None = None
    stuck: bool = False

    def undo(self, kernel: Any) -> str | None:
        if self.stuck:
            raise KeyError("no way back")
        return self.instead


def test_going_back_is_told_as_it_went() -> None:
    steps = (
        Undoable("write a"),
        Undoable("stop container web", instead="start container web again as it was"),
        Undoable("write b", stuck=True),
        FIRST,
        Step("start container web", RuntimeError("no")),
    )
    with pytest.raises(Interrupted) as failed:
        converge_locked(Steps(steps), None)
    assert failed.value.undone == ["write a"]
    again = "start container web again as it was"
    assert failed.value.done == ["stop container web", "write b", FIRST.what, again]
    stuck = "'write b' could not be taken back: 'no way back'"
    assert str(failed.value) == f"failed: start container web: no; then: {again}; then: {stuck}"


def test_what_fails_after_all_steps_lists_them() -> None:
    with pytest.raises(CommandFailed) as said_no:
        converge_locked(Steps((FIRST, SECOND), CommandFailed("it ended", {"changed": True})), None)
    assert said_no.value.done == [FIRST.what, SECOND.what]
    with pytest.raises(NotConverged, match="still to do: start container web") as left:
        converge_locked(Steps((FIRST,), (SECOND,)), None)
    assert left.value.done == [FIRST.what]
    for unreadable in (KernelError(74, "read", "/x", "damaged"), ImageError("blob x is damaged")):
        with pytest.raises(NotConverged, match="the second look failed: .*damaged") as blind:
            converge_locked(Steps((FIRST,), unreadable), None)
        assert blind.value.done == [FIRST.what]


def test_what_only_doing_it_showed_is_a_warning() -> None:
    steps = (FIRST, Step("publish ports", answer=Caveat("the old ones linger")), SECOND)
    outcome = converge_locked(Steps(steps), None)
    assert outcome.plan.warnings == ("the old ones linger",)
    assert outcome.plan.operations == steps
