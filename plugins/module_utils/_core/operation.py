# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations and plans: what every planner returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .observe_world import World

#: How a changed option reaches the running object.
LIVE = "live"
RESTART = "restart"
RECREATE = "recreate"
#: What an operation is about.
STRUCTURE = "structure"
ENDING = "ending"
STARTING = "starting"


@dataclass(frozen=True)
class Operation:
    """One step towards the desired state. Frozen: all it needs was decided by the planner.

    Subclasses implement describe() and execute(); undo() only where a half-applied plan would be dangerous.
    ``kernel`` is a Kernel (module_utils/_kernel/kernel.py) or a test's stand-in for it.
    """

    #: Once this is done, what came before it is not undone any more: the next run goes on from here.
    commits: ClassVar[bool] = False
    #: ENDING or STARTING where it ends or starts a process, which may take long: no lock that others need is held then.
    phase: ClassVar[str] = STRUCTURE

    def describe(self) -> str:
        """The sentence that check mode and ``actions`` show, e.g. ``mount overlay on /srv/web``."""
        raise NotImplementedError

    def execute(self, kernel: Any) -> Any:
        """Do it; returns something only where the answer is the point, or a Caveat. Raises KernelError."""
        raise NotImplementedError

    def expect(self, world: World) -> None:
        """Say what those who look at the host afterwards will see, as far as plans of other objects depend on it."""

    def undo(self, kernel: Any) -> str | None:
        """Take it back when a later operation of the same plan failed; nothing by default.

        Returns None, or where it cannot be as if nothing had been done, the sentence on what was done instead.
        """
        return None


@dataclass(frozen=True)
class Caveat:
    """Returned by an operation that was done, but for something that only doing it could show: a warning."""

    warning: str


@dataclass(frozen=True)
class Change:
    """One option whose observed value differs, and how the new value is applied."""

    option: str
    before: Any
    after: Any
    how: str = LIVE


@dataclass(frozen=True)
class Plan:
    """What to do, and what the object will look like afterwards.

    ``before`` and ``after`` are the object's state as plain data (empty when it is absent): the diff, and in
    check mode the prediction. ``changes`` are of an object that is there and stays: of one that comes or goes there are
    none. ``warnings`` are for the person; they never change the outcome.
    """

    operations: tuple[Operation, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.before and self.after):
            object.__setattr__(self, "changes", ())

    @property
    def actions(self) -> list[str]:
        """The operations' sentences, in order."""
        return [operation.describe() for operation in self.operations]


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any], how: Mapping[str, str]) -> tuple[Change, ...]:
    """The options whose values differ; how each is applied is looked up in ``how`` (live where not named)."""
    names = sorted({*before, *after})
    return tuple(
        Change(name, before.get(name), after.get(name), how.get(name, LIVE))
        for name in names
        if before.get(name) != after.get(name)
    )
