# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one loop: observe, plan, apply, observe again."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._kernel import files, own_directories, state_directory
from .._kernel.errors import BareKernelError, KernelError
from .errors import NoPlace
from .observe_world import World
from .operation import STRUCTURE, Caveat, Operation, Plan
from .own_directories import with_directories
from .resource import CommandFailed, Refused, Resource


class Interrupted(BareKernelError):
    """An operation failed half-way. ``done`` is what was applied and kept, ``undone`` what was taken back.

    ``then`` is what was done, or failed, to go back where not everything could be as if nothing had been done.
    """

    def __init__(
        self, failed: Operation, error: Exception, done: list[str], undone: list[str], then: Sequence[str] = ()
    ) -> None:
        super().__init__("; then: ".join([f"failed: {failed.describe()}: {error}{_advice(error)}", *then]))
        self.error = error
        self.done = done
        self.undone = undone


def _advice(error: Exception) -> str:
    """What to do about a full disk, where the error does not say it."""
    if not isinstance(error, KernelError) or error.hint or error.syscall not in ("mkdir", "open", "write"):
        return ""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT) or (error.path or "").startswith(("/proc/", "/sys/")):
        return ""
    more = ", or raise the quota" if error.errno == errno.EDQUOT else ""
    return f". Free some space on its file system{more}"


class NotConverged(BareKernelError):
    """Everything was applied (``done``), yet a second look finds more to do, or cannot be had."""

    def __init__(self, message: str, done: list[str]) -> None:
        super().__init__(message)
        self.done = done


@dataclass
class Outcome:
    """What a run did (or, in check mode, would do)."""

    plan: Plan
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.plan.operations)


def predict(resource: Resource[Any, Any], desired: Any) -> Outcome:
    """Observe and plan, change nothing: what check mode is. No lock is taken either, as that would create a file."""
    check_state_directory(resource)
    world = World()
    observed = resource.glance(desired, world) if files.is_locked(*resource.locks(desired)) else None
    if observed is None:
        observed = resource.observe(desired, world)
    return Outcome(_plan(resource, desired, observed, world), resource.facts(desired, observed))


def converge(resource: Resource[Any, Any], desired: Any, kernel: Any = None) -> Outcome:
    """Make the host agree with the desired state.

    Raises Refused (nothing was changed), KernelError (while observing), Interrupted, NotConverged, CommandFailed.
    """
    check_state_directory(resource)
    locks = resource.locks(desired)
    if files.is_locked(*locks) and (outcome := _as_declared(resource, desired)) is not None:
        return outcome
    shown = contextlib.ExitStack()

    def wait() -> None:
        shown.enter_context(resource.waiting(desired))

    with shown, files.locked(*resource.own_locks(desired), when_busy=wait), files.locked(*locks, when_busy=wait):
        shown.close()
        if not resource.own_locks(desired):
            return converge_locked(resource, desired, kernel)
        world = World()
        observed = resource.observe(desired, world)
        plan = _plan(resource, desired, observed, world)
        if not plan.operations:
            return Outcome(plan, resource.facts(desired, observed))
    # It has a process, for whose end and start nobody else is to wait.
    from .phases import converge_one  # here: most tasks find nothing to do

    return converge_one(resource, desired, kernel)


def _as_declared(resource: Resource[Any, Any], desired: Any) -> Outcome | None:
    """The outcome where nothing has to be done, so that nobody waits for another one's long change for nothing."""
    try:
        world = World()
        observed = resource.glance(desired, world)
        if observed is None:
            return None
        plan = _plan(resource, desired, observed, world)
        return None if plan.operations else Outcome(plan, resource.facts(desired, observed))
    except (KernelError, Refused):
        return None  # it may have gone while it was read: under the locks it is an error, or none


def converge_locked(resource: Resource[Any, Any], desired: Any, kernel: Any = None) -> Outcome:
    """The same for one who holds the resource's locks."""
    world = World()
    observed = resource.observe(desired, world)
    plan = _plan(resource, desired, observed, world)
    if not plan.operations:
        return Outcome(plan, resource.facts(desired, observed))
    returned = apply(plan, kernel if kernel is not None else resource.kernel())
    plan = _with_caveats(plan, returned)
    try:
        outcome = _settled(resource, desired, plan)
        return Outcome(outcome.plan, {**outcome.facts, **resource.results(returned)})
    except CommandFailed as error:
        error.done = plan.actions
        raise
    except NotConverged:
        raise
    except BareKernelError as error:
        raise NotConverged(f"all was applied, but the second look failed: {error}", plan.actions) from error


def _with_caveats(plan: Plan, returned: list[Any]) -> Plan:
    caveats = tuple(answer.warning for answer in returned if isinstance(answer, Caveat))
    return dataclasses.replace(plan, warnings=(*plan.warnings, *caveats)) if caveats else plan


def _settled(resource: Resource[Any, Any], desired: Any, applied: Plan) -> Outcome:
    """What was applied, and the facts of a second look, which must find nothing to do. Raises NotConverged."""
    desired, world = resource.settled(desired), World()
    observed = resource.observe(desired, world)
    left = _plan(resource, desired, observed, world)
    to_do = [*left.actions, *([] if left.operations else _following(resource, world).actions)]
    if to_do:
        message = "the kernel did not keep what was applied; still to do: " + "; ".join(to_do)
        raise NotConverged(message, applied.actions)
    # What only can be told of an object that is there.
    warnings = tuple(dict.fromkeys((*applied.warnings, *left.warnings)))
    return Outcome(dataclasses.replace(applied, warnings=warnings), resource.facts(desired, observed))


def _plan(resource: Resource[Any, Any], desired: Any, observed: Any, world: World) -> Plan:
    """The plan with what follows from it."""
    plan = planned(resource, desired, observed, world)
    if not plan.operations or not resource.followers():
        return plan
    expect(plan, world)
    return dataclasses.replace(plan, operations=(*plan.operations, *_following(resource, world).operations))


def _following(resource: Resource[Any, Any], world: World) -> Plan:
    plans = [follower.plan(None, follower.observe(None, world)) for follower in resource.followers()]
    return Plan(tuple(operation for plan in plans for operation in plan.operations))


def expect(plan: Plan, world: World) -> None:
    """The world is, from now on, the one that the plan leaves."""
    for operation in plan.operations:
        operation.expect(world)


def planned(resource: Resource[Any, Any], desired: Any, observed: Any, world: World) -> Plan:
    """The plan of one object, with what must be done for the next boot and to directories that others may get into."""
    plan = resource.complete(desired, resource.plan(desired, observed), world)
    if plan.operations and resource.keeps:
        # What is removed may have become what could not be made there any more.
        unfit = world.read(state_directory.why_unfit, resource.keeps, resource.keeps_layers) if plan.after else ""
        _refuse(world.read(state_directory.why_read_only, resource.keeps) or unfit)
    return with_directories(plan, world.read(own_directories.changed))


def check_state_directory(resource: Resource[Any, Any]) -> None:
    """Before anything is read from it. Raises Refused."""
    if resource.keeps:
        _refuse(state_directory.why_no_directory())


def _refuse(why: str) -> None:
    if why:
        raise NoPlace(why)


def apply(plan: Plan, kernel: Any) -> list[Any]:
    """Execute the operations in order; when one fails, undo what says it must be undone.

    Returns what the operations returned. Raises Interrupted.
    """
    executed: list[Operation] = []
    returned: list[Any] = []
    for operation in plan.operations:
        try:
            returned.append(operation.execute(kernel))
        except Exception as error:  # a mistake of ours as well: half-way, what was done is what a person needs to know
            undone, instead, failed = undo(executed, kernel)
            done = [o.describe() for o in executed if o.describe() not in undone]
            raise Interrupted(operation, error, [*done, *instead], undone, [*instead, *failed]) from error
        executed.append(operation)
    return returned


def undo(
    executed: list[Operation],
    kernel: Any,
    locked: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> tuple[list[str], list[str], list[str]]:
    """What was taken back, what was done instead, and what could not be.

    ``locked`` is entered for what changes the structure of the host, by one who does not hold the locks for it.
    """
    undone: list[str] = []
    instead: list[str] = []
    failed: list[str] = []
    done = list(itertools.takewhile(lambda operation: not operation.commits, reversed(executed)))
    taken_back = [operation for operation in done if type(operation).undo is not Operation.undo]
    for structure, operations in itertools.groupby(taken_back, lambda operation: operation.phase == STRUCTURE):
        with locked() if structure else contextlib.nullcontext():
            for operation in operations:
                try:
                    other = operation.undo(kernel)
                except Exception as error:  # the first error is the one to report; what stays is listed as done
                    failed.append(f"'{operation.describe()}' could not be taken back: {error}")
                    continue
                if other is None:
                    undone.append(operation.describe())
                else:
                    instead.append(other)
    return undone, instead, failed
