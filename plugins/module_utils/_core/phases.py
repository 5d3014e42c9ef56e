# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many objects applied: processes that end and start, many at a time, and between them what changes the host.

The structure of the host (links, tables, files) is changed under all locks, by one thread, in the order of the items.
Processes are ended before that and started after it without these locks: nobody else waits for a container that takes
its time to stop. Each container has a lock of its own meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from threading import Semaphore
from typing import Any

from .._kernel import files
from .._kernel.errors import BareKernelError
from .converge import Interrupted, NotConverged, Outcome, expect, planned, undo
from .errors import CommandFailed
from .fold import (
    COMPLETED,
    HEALTHY,
    MADE,
    STARTED,
    Item,
    Result,
    Skipped,
    failed_need,
    fold,
    plan_each,
    plan_one,
    split,
    wrong_values,
)
from .observe_world import World
from .operation import STRUCTURE, Caveat, Operation, Plan
from .resource import Resource
from .units import EnableUnit, ReloadUnits

#: Processes that are started at a time: they wait more than they work. Those that are ended wait even more, each for as
#: long as it takes to stop: many do not listen to the signal, and keep none of the others from ending or starting.
STARTED_AT_ONCE, ENDED_AT_ONCE = 8, 32
#: Threads: those that wait for a condition of another one keep none of the others from working either.
_THREADS = 96
#: Seconds that others have to end as well before the host is changed for those that have: it is looked at once then.
GATHER = 0.5
#: Stages of a job: nothing done; its process is being ended; the host has what it needs, and its process is started.
_PLANNED, _ENDING, _MADE = "planned", "ending", "made"


@dataclass
class Job:
    """An item on its way. ``before`` is its process as the first plan saw it, ``work`` what a thread does for it."""

    item: Item
    kernel: Any
    stage: str = _PLANNED
    result: Result = field(default_factory=Result)
    executed: list[Operation] = field(default_factory=list)
    returned: list[Any] = field(default_factory=list)
    before: Any = None
    #: What was to become of it when all were planned together.
    foreseen: Result = field(default_factory=Result)
    work: Future[None] | None = None
    #: It cannot be made as it was foreseen as long as others are still being ended, and may be able to afterwards.
    postponed: bool = False

    @property
    def failed(self) -> bool:
        return self.result.error is not None

    @property
    def as_foreseen(self) -> bool:
        """Whether its plan changes of the host what it was to change when all were planned together."""
        return split(self.result.plan)[1] == split(self.foreseen.plan)[1]

    def execute(
        self,
        operations: Iterable[Operation],
        locked: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """Raises Interrupted, after what can be taken back was taken back; ``locked`` as in undo()."""
        for operation in operations:
            try:
                self.returned.append(operation.execute(self.kernel))
            except Exception as error:  # a mistake of ours as well: what was done is what a person needs to know
                undone, instead, stuck = undo(self.executed, self.kernel, locked)
                done = [o.describe() for o in self.executed if o.describe() not in undone]
                raise Interrupted(operation, error, [*done, *instead], undone, [*instead, *stuck]) from error
            self.executed.append(operation)

    def fail(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            raise error
        self.result.error, self.result.skipped = error, isinstance(error, Skipped)
        self.result.done = error.done if isinstance(error, Interrupted) else [o.describe() for o in self.executed]
        self.result.undone = error.undone if isinstance(error, Interrupted) else []


class Run:
    """One run over the items of a host.

    ``tell`` is called with a sentence on what is being done. ``results`` are those of objects made before that some of
    the items need. ``opening`` makes of the plans an item that is applied before all others.
    """

    def __init__(
        self,
        items: Sequence[Item],
        tell: Callable[[str], None] = lambda text: None,
        kernel: Callable[[Item], Any] = lambda item: item.resource.kernel(),
        results: Mapping[str, Result] | None = None,
        opening: Callable[[Mapping[str, Result]], Item | None] = lambda results: None,
    ) -> None:
        self.items = items
        self.tell = tell
        self.kernel = kernel
        self.opening = opening
        self.starting, self.ending = Semaphore(STARTED_AT_ONCE), Semaphore(ENDED_AT_ONCE)
        self.jobs = {item.key: Job(item, kernel(item)) for item in items}
        self.results: dict[str, Result] = dict(results or {})
        opened = [first] if (first := opening(self.results)) is not None else []
        self.locks = sorted({lock for item in (*items, *opened) for lock in item.resource.locks(item.desired)})
        self.own = sorted({lock for item in items for lock in item.resource.own_locks(item.desired)})

    def converge(self) -> Mapping[str, Result]:
        """Make the host agree with all items. Every failure is in the results."""
        with self._locked(self.own):
            try:
                with self._starting(), ThreadPoolExecutor(_THREADS) as pool:
                    self._apply(pool)
            finally:
                files.remove_marks(*self.locks)
            self._look_again()
        return self.results

    def _starting(self) -> contextlib.ExitStack:
        entered = contextlib.ExitStack()
        for resource in {item.resource.name: item.resource for item in self.items}.values():
            entered.enter_context(resource.starting())
        return entered

    def _apply(self, pool: ThreadPoolExecutor) -> None:
        with self._locked(self.locks, mark=True):
            self._plan(self.items)
            if wrong_values(self.results) or not self._open():
                return
            for job in self.jobs.values():
                found = job.result
                job.foreseen = Result(found.plan, found.facts, warnings=found.warnings)
                if not (found.plan.operations or job.failed):
                    job.stage = _MADE
            if not self._end_processes(pool):
                self._make(pool)
        first = True
        while ending := [job for job in self.jobs.values() if job.stage == _ENDING]:
            works = [job.work for job in ending if job.work is not None]
            if not first:
                wait(works, return_when=FIRST_COMPLETED)
            wait(works, GATHER)
            first = False
            with self._locked(self.locks, mark=True) as undisturbed:
                self._go_on(ending, pool, undisturbed)
        for job in self.jobs.values():
            self._await(job)

    def _locked(self, names: Sequence[str], mark: bool = False) -> contextlib.AbstractContextManager[bool]:
        return files.locked(*names, when_busy=lambda: self.tell("waiting for another task on this host"), mark=mark)

    def _plan(self, items: Sequence[Item], kept: Sequence[Job] = ()) -> None:
        """Plan these by a fresh look; one whose process was ended for it, as if that still ran.

        ``kept`` are those among them that stay as they were foreseen.
        """
        world = World()
        as_foreseen = {job.item.key for job in kept}
        for item in items:
            job = self.jobs[item.key]
            if job.executed:
                item.resource.as_before(item.desired, job.before, world)
            elif item.key not in as_foreseen:
                job.before = item.resource.before(item.desired, world)

        def plan(item: Item) -> Result:
            job = self.jobs[item.key]
            if item.key in as_foreseen:
                found = replace(job.foreseen)
                expect(found.plan, world)
            else:
                found = plan_one(item, world, self.results)
                if job.executed:
                    _go_on_from(found, job.foreseen.plan)
            return found

        order = [item.key for item in plan_each(items, plan, self.results)]
        for key in order:
            self.jobs[key].result = self.results[key]
        # From now on they come in this order.
        others = {key: job for key, job in self.jobs.items() if key not in order}
        self.jobs = {**others, **{key: self.jobs[key] for key in order}}

    def _open(self) -> bool:
        """Apply what comes before all others. Whether anything is to be done by any item."""
        works = any(job.result.plan.operations for job in self.jobs.values())
        item = self.opening(self.results)
        if item is None:
            return works
        job = Job(item, self.kernel(item), _MADE, plan_one(item, World(), {}))
        if job.result.error is not None:
            raise job.result.error
        try:
            job.execute(job.result.plan.operations)
        except Interrupted as error:
            job.fail(error)
        if job.executed or job.failed:
            self.jobs[item.key], self.results[item.key] = job, job.result
        return not job.failed and (works or bool(job.executed))

    def _end_processes(self, pool: ThreadPoolExecutor) -> bool:
        """Whether there are any to be ended."""
        ending = [job for job in self.jobs.values() if split(job.result.plan)[0] and not job.failed]
        for job in ending:
            ends = split(job.result.plan)[0]
            self._tell(ends)
            job.stage, job.work = _ENDING, pool.submit(self._work, job, ends, self.ending)
        return bool(ending)

    def _work(self, job: Job, operations: Iterable[Operation], turns: Semaphore) -> None:
        """End or start a process, in a thread. Raises Interrupted."""
        with turns:
            job.execute(operations, lambda: self._locked(self.locks))

    def _go_on(self, ending: Iterable[Job], pool: ThreadPoolExecutor, undisturbed: bool) -> None:
        """With those whose processes have ended, and who waited for them."""
        for job in ending:
            if job.work is not None and job.work.done():
                job.stage = _PLANNED
                self._await(job)
        for job in self.jobs.values():
            job.postponed = False
        self._plan_ready(undisturbed)
        self._make(pool)

    def _plan_ready(self, undisturbed: bool) -> None:
        """Plan those that can be made now without what the others will leave.

        What keeps one from it (an address that one of those still has) is an error only when nobody else is in its way,
        and who would get something else than was foreseen (the next free address) waits for what was. Once all have
        ended, and nobody else has changed the host meanwhile, what was foreseen still holds for those that go on.
        """
        ready = self._ready()
        still = any(job.stage == _ENDING for job in self.jobs.values())
        ended = undisturbed and not still and not any(job.failed for job in self.jobs.values())
        self._plan([job.item for job in ready], [job for job in ready if ended and not job.executed])
        if still:
            for job in ready:
                job.postponed = job.failed or not job.as_foreseen
                if job.postponed:
                    del self.results[job.item.key]
                    job.result = Result()

    def _ready(self) -> list[Job]:
        """Those that can be made now: nothing that they need is being ended."""
        left = [job for job in self.jobs.values() if job.stage == _PLANNED and not job.failed and not job.postponed]
        return [job for job in left if not self._waits(job)]

    def _waits(self, job: Job) -> bool:
        needed = [self.jobs[key] for key in job.item.needs if key in self.jobs]
        return any(
            other.stage == _ENDING or (other.stage == _PLANNED and (other.postponed or self._waits(other)))
            for other in needed
        )

    def _make(self, pool: ThreadPoolExecutor) -> None:
        """Change the host for all that are ready, and start their processes."""
        ready, made = self._ready(), []
        while ready:
            job = ready.pop(0)
            failed = failed_need(job.item, self.results)
            if failed:
                job.fail(Skipped(f"not done, as {failed} failed"))
                continue
            try:
                job.execute(_without_reload(split(job.result.plan)[1]))
                made.append(job)
            except Interrupted as error:
                job.fail(error)
                # What the others were planned with has not come about.
                self._plan([other.item for other in ready])
                ready = [other for other in ready if not other.failed]
        if not any(job.stage == _ENDING for job in self.jobs.values()):
            self._follow()
        for job in self._reloaded(made):
            job.stage, job.work = _MADE, pool.submit(self._start, job)

    def _reloaded(self, made: list[Job]) -> list[Job]:
        """Those whose processes can be started: systemd has read the units, once for all that were written."""
        written = [job for job in made if any(map(_reloads, split(job.result.plan)[1]))]
        try:
            if written:
                written[0].kernel.systemd.daemon_reload()
        except BareKernelError as error:
            for job in written:
                job.fail(error)
        return [job for job in made if not job.failed]

    def _follow(self) -> None:
        """What depends on all of them (the hosts files), by a look at what they have become."""
        followers = {each.name: each for item in self.items for each in item.resource.followers()}
        world = World()
        for name, follower in followers.items():
            item = Item(name, follower, None)
            job = Job(item, self.kernel(item), _MADE, plan_one(item, world, {}))
            job.executed = self.jobs[name].executed if name in self.jobs else []
            self.jobs[name], self.results[name] = job, job.result
            try:
                job.execute(job.result.plan.operations)
            except Interrupted as error:
                job.fail(error)

    def _start(self, job: Job) -> None:
        """Start its process once what it needs has come about; in a thread of its own. Raises Interrupted, Skipped."""
        starts = split(job.result.plan)[2]
        for key, condition in job.item.needs.items() if starts else ():
            other = self.jobs.get(key)
            if other is None or condition == MADE:
                continue
            if other.failed or (other.work is not None and other.work.exception() is not None):
                raise Skipped(f"not started, as {key} failed")
            if (
                condition == STARTED
                and split(other.result.plan)[2]
                and not other.item.resource.runs_on(other.item.desired)
            ):
                raise Skipped(f"not started, as {key} failed")
            if condition in (HEALTHY, COMPLETED):
                self.tell(f"{job.item.key} waits for {key}: {condition}")
                other.item.resource.await_condition(other.item.desired, condition)
        self._tell(starts)
        self._work(job, starts, self.starting)

    def _tell(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            if operation.phase != STRUCTURE:
                self.tell(operation.describe())

    def _await(self, job: Job) -> None:
        """Until its thread is done."""
        error = job.work.exception() if job.work is not None else None
        if error is not None and not job.failed:
            job.fail(error)
        job.work = None

    def _look_again(self) -> None:
        """A second look at all that was applied, which must find nothing to do."""
        applied = [job for job in self.jobs.values() if job.executed and not job.failed]
        for job in applied:
            try:
                job.item.resource.settle(job.item.desired)
            except BareKernelError as error:
                job.fail(error)
        applied = [job for job in applied if not job.failed]
        with self._locked(self.locks) if applied else contextlib.nullcontext():
            world = World()
            for job in applied:
                _check(job, world)


def _check(job: Job, world: World) -> None:
    result, resource = job.result, job.item.resource
    result.done = [operation.describe() for operation in job.executed]
    caveats = tuple(answer.warning for answer in job.returned if isinstance(answer, Caveat))
    desired = resource.settled(job.item.desired)
    try:
        observed = resource.observe(desired, world)
        left = planned(resource, desired, observed, world)
        if left.operations:
            words = "the kernel did not keep what was applied; still to do: " + "; ".join(left.actions)
            raise NotConverged(words, result.done)
        result.facts = {**resource.facts(desired, observed), **resource.results(job.returned)}
        result.warnings = tuple(dict.fromkeys((*result.warnings, *caveats, *left.warnings)))
    except (NotConverged, CommandFailed) as error:
        error.done = result.done
        result.error = error
    except BareKernelError as error:
        result.error = NotConverged(f"all was applied, but the second look failed: {error}", result.done)


def _go_on_from(found: Result, earlier: Plan) -> None:
    """What showed of its process went with it: why it was ended, what differed, that it is to be started again."""
    ends, _structure, starts = split(earlier)
    if found.error is None:
        _ends, structure, starts_now = split(found.plan)
        found.plan = replace(earlier, operations=(*ends, *structure, *(starts_now or starts)))


def _reloads(operation: Operation) -> bool:
    """Whether systemd has to read its unit files again after it."""
    return isinstance(operation, ReloadUnits) or (isinstance(operation, EnableUnit) and operation.reload)


def _without_reload(operations: Iterable[Operation]) -> list[Operation]:
    kept = [each for each in operations if not isinstance(each, ReloadUnits)]
    return [replace(each, reload=False) if isinstance(each, EnableUnit) else each for each in kept]


def converge_one(resource: Resource[Any, Any], desired: Any, kernel: Any = None) -> Outcome:
    """An object that has a process, as a run over nothing else. Raises as converge() does."""
    item = Item(resource.name, resource, desired)
    results = Run([item], kernel=lambda each: kernel if kernel is not None else each.resource.kernel()).converge()
    result, following = results[item.key], [results[f.name] for f in resource.followers() if f.name in results]
    for found in (result, *following):
        if found.error is not None:
            raise found.error
    operations = tuple(operation for found in (result, *following) for operation in found.plan.operations)
    return Outcome(replace(result.plan, operations=operations, warnings=result.warnings), result.facts)


def predict(items: Sequence[Item]) -> dict[str, Result]:
    """What a run would do: the fold alone."""
    results: dict[str, Result] = {}
    fold(items, World(), results)
    return results
