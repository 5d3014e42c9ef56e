# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the store, pruning it, and bringing images elsewhere."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._core.errors import OptionError, Refused
from .._core.observe_own_paths import refuse_ours
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import Resource
from .._image.changes import export, prune
from .._image.changes.prune import Garbage
from .._image.errors import ImageError
from .._image.format import digest
from .._image.format.reference import familiar
from .._image.registry.access import Access
from .._image.store import saved
from .._image.store.store import LOCK, Image, Store, reference_of, source_of
from .._kernel import locations
from .host import image_kernel
from .options import access, image_name
from .plan_export import Export, Exported, plan_export, plan_prune
from .resource import describe, half_made


class ImageInfo:
    """The module oci_image_info."""

    name = "oci_image_info"

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Raises OptionError, Refused, KernelError."""
        name = params.get("name")
        if name and not digest.is_digest(name):
            name = image_name("name", name)
        try:
            named = sorted(self.store.descriptors(), key=reference_of)
            garbage = prune.unused(self.store)
        except ImageError as error:
            raise Refused(str(error)) from error
        if name:
            its_digest = self.store.names().get(name, name.rpartition("@")[2])
            images = self._described(name, its_digest, lambda: self.store.resolve(name))
        else:
            images = [each for descriptor in named for each in self._of(descriptor)]
        return {"images": images, "unused_bytes": garbage.size}

    def _of(self, descriptor: Mapping[str, Any]) -> list[dict[str, Any]]:
        its_digest, reference = descriptor["digest"], reference_of(descriptor)
        return self._described(
            reference, its_digest, lambda: self.store.image(its_digest, reference, source_of(descriptor))
        )

    def _described(self, name: str, its_digest: str, read: Callable[[], Image | None]) -> list[dict[str, Any]]:
        """The image, what is wrong with it, or nothing where there is none: the others are of interest all the same."""
        try:
            image = read()
        except ImageError as error:
            users = list(self.store.users(its_digest))
            return [{"reference": familiar(name), "digest": its_digest, "damage": str(error), "used_by": users}]
        return [describe(self.store, image)] if image is not None else []


class ImagePrune(Resource[None, Garbage]):
    """The module oci_image_prune."""

    name = "oci_image_prune"
    keeps = (locations.STATE, locations.IMAGES)

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()

    def desired(self, params: Mapping[str, Any]) -> None:
        return None

    def locks(self, desired: None) -> tuple[str, ...]:
        return (LOCK,)

    def kernel(self) -> Any:
        return image_kernel(self.store)

    def observe(self, desired: None, world: World) -> Garbage:
        try:
            unused = prune.unused(self.store)
        except ImageError as error:
            raise Refused(str(error)) from error
        if not half_made(self.store):
            return unused
        return dataclasses.replace(unused, half_made=True, size=unused.size + prune.half_made_bytes(self.store))

    def plan(self, desired: None, observed: Garbage) -> Plan:
        return plan_prune(observed)

    def facts(self, desired: None, observed: Garbage) -> dict[str, Any]:
        """In check mode, what would go."""
        return _removed(observed)

    def results(self, returned: Sequence[Any]) -> dict[str, Any]:
        return _removed(returned[0])


def _removed(garbage: Garbage) -> dict[str, Any]:
    return {
        "freed_bytes": garbage.size,
        "removed_blobs": len(garbage.blobs),
        "removed_layers": len(garbage.layers),
    }


class ImageExport(Resource[Export, Exported]):
    """The modules oci_image_push and oci_image_save."""

    keeps = (locations.STATE, locations.IMAGES)

    def __init__(self, name: str, store: Store | None = None) -> None:
        self.name = name
        self.store = store or Store()

    def desired(self, params: Mapping[str, Any]) -> Export:
        name = image_name("name", params["name"])
        if self.name == "oci_image_push":
            destination = image_name("destination", params.get("destination") or params["name"])
            if "@" in destination:
                raise OptionError("destination", destination, "a digest cannot be chosen: name a tag")
            return Export(name, destination, "docker", access(params))
        path = params["path"]
        if not path.startswith("/") or ":" in path:
            raise OptionError("path", path, "write an absolute path without a colon")
        return Export(name, os.path.normpath(path), params["format"], Access())

    def locks(self, desired: Export) -> tuple[str, ...]:
        return (LOCK,)

    def kernel(self) -> Any:
        return image_kernel(self.store)

    def observe(self, desired: Export, world: World) -> Exported:
        if desired.form != "docker":
            refuse_ours("path", desired.destination, desired.destination)
        try:
            image = self.store.resolve(desired.name)
            if image is None:
                return Exported(None)
            if desired.form == "docker":
                return Exported(image, export.registry_has(image, desired.destination, desired.access))
            there = saved.look(desired.destination, desired.form, image)
            return Exported(image, there.holds, there.obstacle, there.half_made)
        except ImageError as error:
            raise Refused(str(error)) from error

    def plan(self, desired: Export, observed: Exported) -> Plan:
        return plan_export(desired, observed)
