# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about an image: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._core.errors import Refused
from .._core.operation import RECREATE, Change, Operation, Plan
from .._image.changes.prune import Garbage
from .._image.errors import ImageError
from .._image.format.config import overridden
from .._image.format.reference import familiar
from .._image.layers.policy import Policy
from .._image.sources.source import Seen, Source, shown_content
from .._image.store.damage import Damage as Rotten
from .._image.store.store import NOT_YET, Image, on_host

if TYPE_CHECKING:
    from .._core.observe_world import World

#: When the source is looked at although the image is there: never, where another one is declared than it was made
#: from, to see whether it has changed, or to make it anew whatever is seen.
IF_MISSING, IF_REDECLARED, IF_CHANGED, ALWAYS = "missing", "redeclared", "changed", "always"


@dataclass(frozen=True)
class Desired:
    """An image as asked for. ``overrides`` are the options of ``config`` that were given."""

    reference: str
    present: bool = True
    source: Source | None = None
    refresh: str = IF_CHANGED
    overrides: Mapping[str, Any] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    force: bool = False
    verify: bool = False
    progress: str = ""


@dataclass(frozen=True)
class Observed:
    """The image as the store has it (``damage`` says why it is None although its name is there), its source as
    it is now (None where it need not be looked at), who uses it, what nothing would use without its name (only where
    that is to go), and whether an interrupted run left something half-made.

    ``unwanted`` is what the policy refuses of the image that is there, ``unwanted_below`` of the one that the source
    builds on; empty where it accepts them.
    """

    current: Image | None = None
    damage: str = ""
    seen: Seen | None = None
    users: tuple[str, ...] = ()
    garbage: Garbage = field(default_factory=Garbage)
    missing: tuple[str, ...] = ()
    half_made: bool = False
    unwanted: str = ""
    unwanted_below: str = ""
    rotten: Rotten = field(default_factory=Rotten)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObtainImage(Operation):
    """Bring an image into the store from its source and give it its name."""

    reference: str
    source: Source
    seen: Seen
    overrides: Mapping[str, Any]
    policy: Policy
    progress: str = ""
    why: str = ""

    def describe(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"make image {familiar(self.reference)} from {self.source.describe()}{why}"

    def execute(self, kernel: Any) -> None:
        kernel.images.obtain(self.reference, self.source, self.seen, self.overrides, self.policy, self.progress)

    def expect(self, world: World) -> None:
        expect_image(world, self.reference, self.overrides)


@dataclass(frozen=True)
class ConfigureImage(Operation):
    """Give an image that is there another configuration; its layers stay."""

    reference: str
    base: str
    source: Mapping[str, Any]
    overrides: Mapping[str, Any]

    def describe(self) -> str:
        return f"configure image {familiar(self.reference)}"

    def execute(self, kernel: Any) -> None:
        kernel.images.configure(self.reference, self.base, self.source, self.overrides)

    def expect(self, world: World) -> None:
        expect_image(world, self.reference, self.overrides)


@dataclass(frozen=True)
class RestoreLayers(Operation):
    """Unpack layers again, whose directories someone removed, from their blobs."""

    reference: str
    digest: str
    missing: tuple[str, ...]

    def describe(self) -> str:
        return f"unpack {len(self.missing)} missing layers of image {familiar(self.reference)} again"

    def execute(self, kernel: Any) -> None:
        kernel.images.restore(self.digest)


@dataclass(frozen=True)
class DiscardDamaged(Operation):
    """Take out of the store what is not what it says."""

    damage: Rotten

    def describe(self) -> str:
        return "discard what is damaged: " + "; ".join(self.damage.why)

    def execute(self, kernel: Any) -> None:
        kernel.images.discard(self.damage)


@dataclass(frozen=True)
class ClearHalfMade(Operation):
    """Remove what an interrupted run left, and replaced layers that no container runs on any more."""

    def describe(self) -> str:
        return "clear what an interrupted run left half-made in the image store"

    def execute(self, kernel: Any) -> None:
        kernel.images.prune()


@dataclass(frozen=True)
class RemoveImage(Operation):
    """Forget a name, and remove what nothing else uses."""

    reference: str
    garbage: Garbage
    users: tuple[str, ...] = ()

    def describe(self) -> str:
        layers, size = len(self.garbage.layers), self.garbage.size
        return f"remove image {familiar(self.reference)} ({layers} layers that nothing else uses, {size} bytes)"

    def execute(self, kernel: Any) -> None:
        kernel.images.remove(self.reference, self.users)

    def expect(self, world: World) -> None:
        world.expect(None, on_host, self.reference)


def expect_image(world: World, reference: str, overrides: Mapping[str, Any]) -> None:
    """There is that image now. Of one that is yet to be made only the configuration that was asked for is known."""
    try:
        there = world.read(on_host, reference)
    except ImageError:
        there = None
    known = {"config": there.config if there is not None else {}, "rootfs": {"diff_ids": []}}
    layers, lowerdirs = (there.layers, there.lowerdirs) if there is not None else ((), ())
    image = Image(reference, NOT_YET, {}, overridden(known, overrides), layers, {}, lowerdirs)
    world.expect(image, on_host, reference)


def expect_missing(world: World, reference: str, overrides: Mapping[str, Any]) -> None:
    """The same where it is not there yet."""
    try:
        there = world.read(on_host, reference)
    except ImageError:
        there = None
    if there is None:
        expect_image(world, reference, overrides)


def plan(desired: Desired, observed: Observed) -> Plan:
    """Raises Refused."""
    if not desired.present:
        return _absent(desired, observed)
    before = state_of(observed.current)
    discard = (DiscardDamaged(observed.rotten),) if observed.rotten else ()
    if observed.current is None:
        why = observed.damage
    elif observed.rotten.blobs:
        why = "it is damaged"
    elif desired.refresh == ALWAYS:
        why = "asked to make it anew"
    elif _changed(desired.source, observed.current, observed.seen):
        why = "the source has changed"
    else:
        return _configuration(desired, observed.current, observed, before)
    if desired.source is None or observed.seen is None:
        raise ValueError("an image is made from a source that was looked at")
    if observed.unwanted_below:
        raise Refused(observed.unwanted_below)
    operation = ObtainImage(
        desired.reference,
        desired.source,
        observed.seen,
        desired.overrides,
        desired.policy,
        desired.progress,
        why,
    )
    after = {
        **before,
        "reference": familiar(desired.reference),
        "source": desired.source.kind,
        "parts": list(desired.source.parts()),
        "content": observed.seen.shown,
        "config": dict(desired.overrides),
    }
    return Plan((*discard, operation), before, after, _changes(before, after), observed.warnings)


def _changed(source: Source | None, current: Image, seen: Seen | None) -> bool:
    if source is None or seen is None:
        return False
    return source.redeclared(current.source) or current.source.get("key") != seen.key


def _configuration(desired: Desired, current: Image, observed: Observed, before: Mapping[str, Any]) -> Plan:
    if observed.unwanted:
        raise Refused(observed.unwanted)
    gone = (*observed.missing, *observed.rotten.layers)
    restore: tuple[Operation, ...] = ()
    if gone:
        restore = (RestoreLayers(desired.reference, current.digest, gone),)
    if observed.rotten:
        restore = (DiscardDamaged(observed.rotten), *restore)
    if dict(current.source.get("overrides") or {}) == dict(desired.overrides):
        clear = (ClearHalfMade(),) if observed.half_made and not restore else ()
        return Plan((*clear, *restore), before, before, (), observed.warnings)
    base = str(current.source.get("base") or current.digest)
    after = {**before, "config": dict(desired.overrides)}
    operation = ConfigureImage(desired.reference, base, current.source, desired.overrides)
    return Plan((*restore, operation), before, after, _changes(before, after), observed.warnings)


def _absent(desired: Desired, observed: Observed) -> Plan:
    if observed.current is None and not observed.damage:
        if not observed.half_made:
            return Plan()
        return Plan((ClearHalfMade(),), {"half-made": True}, {})
    if observed.users and not desired.force:
        raise Refused(
            f"image {familiar(desired.reference)} is used by container {', '.join(observed.users)}: "
            "remove it first, or set force to forget the name and keep the layers that it uses"
        )
    before = state_of(observed.current) or {"reference": familiar(desired.reference)}
    operation = RemoveImage(desired.reference, observed.garbage, observed.users)
    return Plan((operation,), before, {}, (), observed.warnings)


def kept_for(unknown: tuple[str, ...]) -> tuple[str, ...]:
    """The warnings for what Garbage has as ``unknown``."""
    return tuple(
        f"nothing is removed from the image store as it cannot be told what is in use: {which}" for which in unknown
    )


def state_of(image: Image | None) -> dict[str, Any]:
    """An image as diffs show it: ``parts`` is what was declared to go in; ``content`` tells of what those hold, with
    the beginning of the key (of a registry's image that is the digest).
    """
    if image is None:
        return {}
    return {
        "reference": familiar(image.reference),
        "source": image.source.get("kind"),
        "parts": list(image.source.get("parts") or ()),
        "content": shown_content(str(image.source.get("key") or ""), str(image.source.get("content") or "")),
        "config": dict(image.source.get("overrides") or {}),
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Whatever changes of an image reaches a container by making that anew."""
    names = [name for name in sorted(after) if before.get(name) != after[name]]
    return tuple(Change(name, before.get(name), after[name], RECREATE) for name in names)
