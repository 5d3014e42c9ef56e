# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images on a host: present from a source, absent."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

from .._core.errors import Needed, OptionError, Refused
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import Resource
from .._image.changes import prune
from .._image.errors import BadOption, ImageError, Unreachable
from .._image.format import reference as references
from .._image.layers.policy import Policy, refused
from .._image.sources import handed
from .._image.sources.source import Seen, Source, check_pin, named_in
from .._image.store import replaced
from .._image.store.damage import Damage
from .._image.store.progress import Progress
from .._image.store.store import LOCK, NOT_YET, Image, Store, on_host, reference_of, source_of
from .._kernel import locations
from .._kernel.errors import KernelError
from .._runtime.process import build_cgroup
from . import plan as planner
from .options import desired_image
from .plan import Desired, Observed


class ImageResource(Resource[Desired, Observed]):
    """The module oci_image."""

    name = "oci_image"
    keeps = (locations.STATE, locations.IMAGES)

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()

    def desired(self, params: Mapping[str, Any]) -> Desired:
        return desired_image(params)

    def locks(self, desired: Desired) -> tuple[str, ...]:
        return (LOCK,)

    def kernel(self) -> Any:
        from .host import image_kernel  # here: most tasks find nothing to change

        return image_kernel(self.store)

    def settled(self, desired: Desired) -> Desired:
        """Made once is enough: any source may have changed again by now, as a container that runs, a tag or a directory
        in use. What went in is recorded, and the next run compares with that."""
        return dataclasses.replace(desired, refresh=planner.IF_MISSING)

    def waiting(self, desired: Desired) -> contextlib.AbstractContextManager[object]:
        shown = Progress(desired.progress)
        shown.update("waiting", text="for another task that changes images on this host")
        return contextlib.closing(shown)

    def observe(self, desired: Desired, world: World) -> Observed:
        """Raises KernelError, Refused (a source that cannot be read), Needed (it must be handed over first)."""
        return self._observe(desired, world, undisturbed=True)

    def glance(self, desired: Desired, world: World) -> Observed | None:
        """Every change of the store is one rename, and what is in staging is another one's."""
        if desired.source is not None and desired.source.holds_still:
            return None
        try:
            return self._observe(desired, world, undisturbed=False)
        except ImageError as error:
            raise Refused(str(error)) from error

    def _observe(self, desired: Desired, world: World, undisturbed: bool) -> Observed:
        """``undisturbed``: nobody changes the store meanwhile, so what is half-made was left."""
        current, damage = self._current(desired.reference)
        left = undisturbed and half_made(self.store)
        if not desired.present:
            store = self._after(world)
            users = store.users(store.names().get(desired.reference, current.digest if current else ""))
            garbage = prune.unused(store, without=desired.reference)
            warnings = tuple(planner.kept_for(garbage.unknown))
            return Observed(current, damage, users=users, garbage=garbage, half_made=left, warnings=warnings)
        missing = current.missing if current else ()
        rotten = self._rotten(current) if current is not None and desired.verify else Damage()
        self._check_ring(desired)
        to_come = self._builds_on_one_to_come(desired.source, world)
        seen = Seen(NOT_YET) if to_come else self._seen(desired, current, rotten)
        told = [seen.warning] if seen and seen.warning else []
        return Observed(
            current,
            damage,
            seen,
            missing=missing,
            half_made=left,
            unwanted=self._unwanted(desired.policy, current),
            unwanted_below=self._unwanted_below(desired) if seen and not to_come else "",
            rotten=rotten,
            warnings=(*told, *self._strange(desired, current), *self._on_damaged(rotten)),
        )

    def _builds_on_one_to_come(self, source: Source | None, world: World) -> bool:
        """Whether it starts from an image that a plan before this one makes, or makes anew."""
        name = source.named()[0] if source is not None else ""
        try:
            below = world.read(on_host, name) if name else None
        except ImageError:
            return False
        return below is not None and below.digest == NOT_YET

    def _after(self, world: World) -> Store:
        """The store as it will be when the containers that are to be removed are gone."""
        there = set(self.store.container_names())
        going = there - set(world.files.names(self.store.containers)) if there else set()
        return Store(self.store.root, self.store.containers, frozenset(going)) if going else self.store

    def plan(self, desired: Desired, observed: Observed) -> Plan:
        return planner.plan(desired, observed)

    def facts(self, desired: Desired, observed: Observed) -> dict[str, Any]:
        """In check mode the key is that of the image that would be made."""
        current, seen = observed.current, observed.seen
        key = seen.key if seen else str(current.source.get("key") or "") if current else ""
        return {"image": describe(self.store, current) if current else {}, "source_key": key}

    def _current(self, reference: str) -> tuple[Image | None, str]:
        """The image, or why there is none although its name is there. Raises Refused where names cannot be read."""
        try:
            self.store.names()
        except ImageError as error:
            raise Refused(str(error)) from error
        try:
            image = self.store.named(reference)
        except ImageError as error:
            return None, f"it is damaged: {error}"
        if image is not None and image.missing and not self._whole(image):
            return None, f"layer {image.missing[0]} is missing"
        return image, ""

    def _unwanted(self, policy: Policy, image: Image | None) -> str:
        """What the policy refuses of the layers of an image, as an error says it; of missing ones nobody knows."""
        if image is None or (policy.devices and policy.setuid):
            return ""
        for layer, diff_id, chain_id in zip(image.manifest["layers"], image.diff_ids, image.chain_ids):
            key = self.store.layer_key(diff_id, chain_id)
            kind, found = refused(self.store.layer_record(key), policy) if key else ("", "")
            if kind:
                name = references.familiar(image.reference)
                return (
                    f"policy.{kind}: 'refuse': layer {layer['digest']} of image {name} holds {found}. "
                    "Use another image, or allow it"
                )
        return ""

    def _unwanted_below(self, desired: Desired) -> str:
        if desired.source is None or (desired.policy.devices and desired.policy.setuid):
            return ""
        try:
            return self._unwanted(desired.policy, desired.source.builds_on(self.store))
        except ImageError as error:
            raise Refused(str(error)) from error

    def _on_damaged(self, rotten: Damage) -> tuple[str, ...]:
        """Who has to be restarted to see layers as they were meant to be."""
        homes = [self.store.layer_home(key) for key in rotten.layers]
        running = {name for home in homes for name in replaced.running_on(self.store, home)}
        names = sorted({*running, *replaced.users(self.store)})
        if not names:
            return ()
        return (f"container {', '.join(names)} runs on a damaged layer until it is restarted",)

    def _rotten(self, image: Image) -> Damage:
        from .._image.store import verify  # here: it reads layers, which nothing else does that changes nothing

        return verify.check(self.store, image)

    def _strange(self, desired: Desired, image: Image | None) -> list[str]:
        """What a registry is asked for by its platform, and no archive."""
        if image is None or desired.source is None or desired.source.kind != "archive":
            return []
        from .._image.format import platforms  # here, as most images come from registries

        said = platforms.stranger(image.document)
        return [f"image {references.familiar(image.reference)} {said}"] if said else []

    def _whole(self, image: Image) -> bool:
        return all(self.store.has_blob(str(layer["digest"])) for layer in image.manifest["layers"])

    def _seen(self, desired: Desired, current: Image | None, rotten: Damage) -> Seen | None:
        """The source, where it has to be looked at.

        Raises OptionError, Refused, KernelError, Needed (it must be handed over first).
        """
        source = desired.source
        if source is None:
            return None
        redeclared = current is not None and source.redeclared(current.source)
        looks = desired.refresh in (planner.IF_CHANGED, planner.ALWAYS)
        looks = looks or (desired.refresh == planner.IF_REDECLARED and redeclared)
        if current is not None and not looks and not rotten.blobs:
            return None
        recorded = current.source if current is not None and not redeclared else {}
        seen = self._look(desired.reference, source, recorded, rotten)
        try:
            if seen.digest:
                check_pin(desired.reference, source, seen, seen.digest)
        except ImageError as error:
            raise Refused(str(error)) from error
        return seen

    def _check_ring(self, desired: Desired) -> None:
        """Raises OptionError where the image would be made from one that is made from it."""
        if desired.source is None or not desired.source.named()[0]:
            return
        name, option = desired.source.named()
        made_from = {reference_of(d): named_in(source_of(d)) for d in self.store.descriptors()}
        chain = [name]
        while (below := made_from.get(chain[-1], "")) not in ("", *chain):
            chain.append(below)
            if below == desired.reference:
                steps = ", which is made from ".join(map(references.familiar, chain[1:]))
                why = f"is made from {steps}: name another image here, or declare {references.familiar(name)} otherwise"
                raise OptionError(option, references.familiar(name), why)

    def _look(self, reference: str, source: Source, recorded: Mapping[str, Any], rotten: Damage) -> Seen:
        try:
            return source.look(self.store, {} if rotten.blobs else recorded)
        except handed.Wanted as error:
            key = "" if rotten.blobs else str(recorded.get("key", ""))
            image = {reference: handed.need(key, rotten.blobs)}
            raise Needed(str(error), handed.needs(self.store, image)) from error
        except BadOption as error:
            raise OptionError(error.option, error.value, error.why) from error
        except Unreachable as error:
            asked = next((part.removeprefix("docker://") for part in source.parts()), reference)
            option = "name" if asked == reference else "registry.reference"
            raise Refused(f"{option}: '{references.familiar(asked)}': {error}") from error
        except (ImageError, KernelError) as error:
            option, value = source.given()
            if option:
                raise OptionError(option, value, str(error)) from error
            if isinstance(error, KernelError):
                raise
            raise Refused(str(error)) from error


def half_made(store: Store) -> bool:
    """Whether an interrupted run left something: in the store, or of the commands that it ran."""
    return prune.half_made(store) or build_cgroup.left()


def describe(store: Store, image: Image) -> dict[str, Any]:
    """An image as modules return it."""
    return {
        "reference": references.familiar(image.reference),
        "digest": image.digest,
        "config_digest": image.manifest["config"]["digest"],
        "architecture": image.document.get("architecture"),
        "os": image.document.get("os"),
        "created": image.document.get("created"),
        "config": dict(image.config),
        "history": list(image.document.get("history") or []),
        "layers": [
            {
                "digest": layer["digest"],
                "size": layer["size"],
                "media_type": layer["mediaType"],
                "diff_id": d,
                "path": p,
            }
            for layer, d, p in zip(image.manifest["layers"], image.diff_ids, reversed(image.layers))
        ],
        "size": image.size,
        "unpacked_size": prune.image_bytes(image, store),
        "source": {key: image.source.get(key) for key in ("kind", "parts", "key", "base")},
        "used_by": list(store.users(image.digest)),
    }
