# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole host in one task: images first, as what a container is depends on them, then everything else together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from .._core import phases
from .._core.converge import Interrupted, NotConverged, check_state_directory, converge
from .._core.errors import OptionError
from .._core.fold import Item, Result, fold, wrong_values
from .._core.observe_world import World
from .._core.resource import CommandFailed, Resource
from .._image.store.progress import Progress
from .._kernel import files
from .._kernel.errors import BareKernelError
from .observe_record import RecordResource, belongs_to, owners, read
from .options import stack_from, stack_name
from .plan_order import ordered, others, recorded_after, selected
from .records import BY_NAME, KINDS, Entry, Recorded, Stack, record_path
from .view import Answer


@cache
def resource_of(kind: str) -> Resource[Any, Any]:
    """The resource behind a kind of entry; loaded when the first of its kind is declared."""
    if kind == "image":
        from .._images.resource import ImageResource

        return ImageResource()
    if kind == "network":
        from .._network.resource import NetworkResource

        return NetworkResource()
    if kind == "link":
        from .._links.resource import NetnsVeth

        return NetnsVeth()
    if kind == "overlay":
        from .._overlay.resource import Overlay

        return Overlay()
    if kind == "cgroup":
        from .._cgroup.resource import CgroupResource

        return CgroupResource()
    if kind == "file":
        from .observe_secrets import SecretFiles

        return SecretFiles()
    from .._container.resource import ContainerResource

    return ContainerResource()


class StackResource:
    """What module stack runs."""

    name = "stack"
    needs_root = True
    needs_pyroute2 = False

    def prepare(self, params: Mapping[str, Any]) -> None:
        """A host for which nothing is declared, and nothing was, need not have what networks and containers need.

        Raises OptionError, Refused, KernelError.
        """
        check_state_directory(RecordResource())
        declared = any(params.get(kind.option) for kind in KINDS)
        path = record_path(stack_name(params))
        self.needs_pyroute2 = declared or World().files.text(path) is not None

    def desired(self, params: Mapping[str, Any]) -> Stack:
        """The stack, with each entry judged as its resource does. Raises OptionError."""
        stack = stack_from(params)
        by_key = {entry.key: entry for entry in stack.entries}
        for key, error in wrong_values(_items(ordered(stack.entries))[1]).items():
            if isinstance(error, OptionError):
                raise OptionError(f"{by_key[key].option}.{error.option}", error.value, error.message)
        return stack

    def locks(self, stack: Stack) -> tuple[str, ...]:
        """All that a run over it takes, one after the other."""
        items = _items(ordered(stack.entries))[0]
        return tuple(sorted({lock for item in items for lock in item.resource.locks(item.desired)}))

    def needs(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What has to be brought to this host for its images first; empty for nothing.

        Raises OptionError, Refused, KernelError.
        """
        from .._images.observe_needs import needs_of  # here: few images are handed over
        from .._images.resource import ImageResource

        stack = stack_from(params)
        images = [entry.params for entry in stack.entries if entry.kind == "image" and stack.concerns(entry.key)]
        present = [image for image in images if image.get("state") != "absent" and not stack.absent]
        return needs_of(present, ImageResource())

    def predict(self, params: Mapping[str, Any]) -> Answer:
        """What converge() would do. Raises OptionError, KernelError, Refused."""
        stack = stack_from(params)
        world = World()
        before = read(stack.name, world)
        entries, left = _entries(stack, before)
        items, results = _items(entries, owners(stack.name, world))
        _expect_others(stack, world)
        fold(items, world, results)
        if not wrong_values(results):
            first, last = _records(stack, before, results)
            fold([first, *([last] if last.desired != first.desired else [])], world, results)
        return Answer(entries, results, _left(stack, left), done=False)

    def converge(self, params: Mapping[str, Any]) -> Answer:
        """Make the host agree with the stack. Raises OptionError, KernelError, Refused, before anything was changed."""
        stack = stack_from(params)
        run = _Run.over(stack)
        images = [item for item in run.items if item.key.startswith("image/")]
        if wrong_values(run.results) or (_changes(images) and wrong_values(self.predict(params).results)):
            return replace(self.predict(params), done=True)  # nothing was
        progress = Progress(stack.progress)
        tell = _teller(progress)
        try:
            # Two runs over one stack would each write the record without what the other one makes.
            with files.locked(
                f"stack-{stack.name}", when_busy=lambda: tell(f"waiting for another run of {stack.name}")
            ):
                if read(stack.name, World()) != run.before:
                    run = _Run.over(stack)
                return run.applied(tell)
        finally:
            progress.close()


@dataclass
class _Run:
    """One run over a stack: its record before it, what it is about, and what has become of that so far."""

    stack: Stack
    before: Recorded
    entries: list[Entry]
    left: list[str]
    items: list[Item]
    results: dict[str, Result]

    @classmethod
    def over(cls, stack: Stack) -> _Run:
        world = World()
        before = read(stack.name, world)
        entries, left = _entries(stack, before)
        return cls(stack, before, entries, left, *_items(entries, owners(stack.name, world)))

    def applied(self, tell: Callable[[str], None]) -> Answer:
        images = [item for item in self.items if item.key.startswith("image/")]
        if wrong_values(self.results) or (_changes(images) and not self._recorded()):
            return self._answer()
        later = {entry.key for entry in self.entries if entry.absent} | {i.key for i in images if _from_container(i)}
        _make_images([item for item in images if item.key not in later], self.results)
        others_ = [item for item in self.items if not item.key.startswith("image/")]
        run = phases.Run(others_, tell, results=self.results, opening=lambda found: self._records(found)[0])
        self.results = dict(run.converge())
        if not wrong_values(self.results):
            _make_images([item for item in images if item.key in later], self.results)
            _record(self._records(self.results)[1], self.results)
        return self._answer()

    def _recorded(self) -> bool:
        """Whether the stack's record says what it is about to make: whatever ends this run, that belongs to it."""
        record = self._records(self.results)[0]
        _record(record, self.results)
        return record.key not in self.results or self.results[record.key].error is None

    def _records(self, results: Mapping[str, Result]) -> tuple[Item, Item]:
        return _records(self.stack, self.before, results)

    def _answer(self) -> Answer:
        return Answer(self.entries, self.results, _left(self.stack, self.left), done=True)


def _expect_others(stack: Stack, world: World) -> None:
    """Have the world as the tasks before this one would leave it, in check mode, where they have made nothing."""
    beside = ordered(others(stack))
    for entry in beside:
        if entry.kind == "image":
            from .._images.plan import expect_missing  # here: few tasks are about a part of what they declare

            image = resource_of("image").desired(entry.params)
            expect_missing(world, image.reference, image.overrides)
    items, results = _items(entry for entry in beside if entry.kind != "image")
    fold(items, world, results)


def _entries(stack: Stack, before: Recorded) -> tuple[list[Entry], list[str]]:
    entries, left = selected(stack, before)
    return ordered(entries), left


def _items(entries: Iterable[Entry], owned: Mapping[str, str] | None = None) -> tuple[list[Item], dict[str, Result]]:
    """The entries as items, and the results of those that cannot be meant. ``owned`` are objects of other stacks."""
    items, results = [], {}
    for entry in entries:
        resource = resource_of(entry.kind)
        try:
            if entry.key in (owned or {}):
                raise OptionError(BY_NAME[entry.kind].key, entry.name, belongs_to((owned or {})[entry.key]))
            desired = resource.desired({n: v for n, v in entry.params.items() if n != "depends_on"})
        except BareKernelError as error:
            results[entry.key] = Result(error=error)
            continue
        items.append(Item(entry.key, resource, desired, entry.needs))
    return items, results


def _records(stack: Stack, before: Recorded, results: Mapping[str, Result]) -> tuple[Item, Item]:
    """The stack's record while it is being changed, and afterwards. What failed before anything of it was made is not
    part of it, unless it was before."""
    failed = {key for key, found in results.items() if found.error is not None and not found.done}
    unmade = failed - set(before.objects)
    stay = {key for key, found in results.items() if found.error is not None}
    going = {entry.key for entry in selected(stack, before)[0] if entry.absent}
    resource, key = RecordResource(), f"stack/{stack.name}"
    during = recorded_after(stack, before, unmade)
    return Item(key, resource, during), Item(
        f"{key} afterwards", resource, recorded_after(stack, before, unmade | (going - stay))
    )


def _left(stack: Stack, keys: Iterable[str]) -> list[str]:
    names = sorted(keys)
    if not names:
        return []
    return [
        f"stack {stack.name} made these before and does not name them any more; they stay: {', '.join(names)}. "
        "Set prune to remove them"
    ]


def _changes(images: Sequence[Item]) -> bool:
    """Whether any image is to be made, or cannot be told."""
    results: dict[str, Result] = {}
    fold(images, World(), results)
    return any(found.plan.operations or found.error is not None for found in results.values())


def _from_container(item: Item) -> bool:
    return any(key.startswith("container/") for key in item.needs)


def _make_images(items: Iterable[Item], results: dict[str, Result]) -> None:
    """One after the other, each under the lock of the image store alone."""
    for item in items:
        if item.key in results and results[item.key].error is not None:
            continue
        try:
            outcome = converge(item.resource, item.desired)
            results[item.key] = Result(
                outcome.plan, outcome.facts, outcome.plan.actions, warnings=outcome.plan.warnings
            )
        except Interrupted as error:
            results[item.key] = Result(error=error, done=error.done, undone=error.undone)
        except (NotConverged, CommandFailed) as error:
            results[item.key] = Result(error=error, done=error.done)
        except BareKernelError as error:
            results[item.key] = Result(error=error)


def _record(item: Item, results: dict[str, Result]) -> None:
    try:
        outcome = converge(item.resource, item.desired)
        if outcome.changed:
            results[item.key] = Result(outcome.plan, done=outcome.plan.actions)
    except BareKernelError as error:
        results[item.key] = Result(error=error)


def _teller(progress: Progress) -> Callable[[str], None]:
    return lambda text: progress.update("containers", text=text)
