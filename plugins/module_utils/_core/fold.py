# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many objects of one host: each is planned against the host as the plans before it leave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._kernel.errors import BareKernelError
from .converge import check_state_directory, expect, planned
from .errors import CommandFailed, NoPlace, OptionError, Refused
from .observe_world import World
from .operation import ENDING, STRUCTURE, Operation, Plan
from .resource import Resource

#: What of another object must be done before: its kernel objects, its start, or what comes of its process.
MADE, STARTED, HEALTHY, COMPLETED = "made", "started", "healthy", "completed"


@dataclass(frozen=True)
class Item:
    """One object. ``needs`` are keys of items before it, each with what must have become of that one."""

    key: str
    resource: Resource[Any, Any]
    desired: Any
    needs: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Result:
    """What becomes of an item: its plan, what was done of it, and why it failed (``skipped``: as another one did)."""

    plan: Plan = Plan()
    facts: dict[str, Any] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    error: Exception | None = None
    skipped: bool = False
    warnings: tuple[str, ...] = ()


class Skipped(BareKernelError):
    """Nothing was done, as something that it needs has failed."""


def fold(items: Sequence[Item], world: World, results: dict[str, Result]) -> None:
    """Plan the items; ``results`` gets one each, and has those of earlier ones that are needed.

    An object that cannot be planned takes those along that need it. What follows from all plans comes last.
    """
    followers: dict[str, Resource[Any, Any]] = {}
    for item in plan_each(items, lambda item: plan_one(item, world, results), results):
        if results[item.key].plan.operations:
            followers.update({each.name: each for each in item.resource.followers()})
    for name, follower in followers.items():
        results[name] = plan_one(Item(name, follower, None), world, results)


def plan_each(items: Sequence[Item], plan: Callable[[Item], Result], results: dict[str, Result]) -> list[Item]:
    """Plan the items one after the other, and return them in the order in which they can be made.

    That is their own, but for one that another one is in the way of (it has the address, the name, the port): that
    comes after those that follow it, as one of them may be the other one, and give it up.
    """
    order: list[Item] = []
    left = list(items)
    while left:
        for item in left:
            results.pop(item.key, None)
        for item in left:
            results[item.key] = plan(item)
        in_the_way = [item for item in left if _may_come_later(results[item.key])]
        made = [item for item in left if item not in in_the_way]
        order += made
        if not any(results[item.key].plan.operations for item in made):
            return [*order, *in_the_way]
        left = in_the_way
    return order


def _may_come_later(found: Result) -> bool:
    return isinstance(found.error, (Refused, OptionError, Skipped)) and not isinstance(found.error, NoPlace)


def plan_one(item: Item, world: World, results: Mapping[str, Result]) -> Result:
    """One item's plan against the world, which then is as the plan leaves it."""
    failed = failed_need(item, results)
    if failed:
        return Result(error=Skipped(f"not done, as {failed} failed"), skipped=True)
    try:
        check_state_directory(item.resource)
        observed = item.resource.observe(item.desired, world)
        plan = planned(item.resource, item.desired, observed, world)
        facts = item.resource.facts(item.desired, observed)
        expect(plan, world)
    except CommandFailed as error:
        return Result(error=error, facts=dict(error.values))
    except BareKernelError as error:
        return Result(error=error)
    return Result(plan, facts, warnings=plan.warnings)


def failed_need(item: Item, results: Mapping[str, Result]) -> str:
    """The first of what an item needs that has failed; empty for none."""
    return next((key for key in item.needs if key in results and results[key].error is not None), "")


def wrong_values(results: Mapping[str, Result]) -> dict[str, BaseException]:
    """The items whose options cannot be meant, or that this host cannot keep: nothing is to be changed before that is
    corrected."""
    errors = {key: found.error for key, found in results.items() if isinstance(found.error, (OptionError, NoPlace))}
    return {key: error for key, error in errors.items() if error is not None}


def split(plan: Plan) -> tuple[tuple[Operation, ...], tuple[Operation, ...], tuple[Operation, ...]]:
    """A plan's operations: what ends its process, what changes the host, and from the start of its process on."""
    operations = plan.operations
    first = next((i for i, each in enumerate(operations) if each.phase != ENDING), len(operations))
    start = next((i for i, each in enumerate(operations) if each.phase != STRUCTURE and i >= first), len(operations))
    return operations[:first], operations[first:start], operations[start:]
