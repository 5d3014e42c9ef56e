# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the store, pruning it, and bringing images elsewhere."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from .._image import digest, export, prune, saved
from .._image.access import Access
from .._image.errors import ImageError
from .._image.prune import Garbage
from .._image.store import LOCK, Store
from .._plan.errors import OptionError, Refused
from .._plan.image_export import Export, Exported, plan_export, plan_prune
from .._plan.operation import Plan
from .base import Resource
from .image import describe, half_made
from .image_host import image_kernel
from .image_options import access, image_name


class ImageInfo:
    """The module oci_image_info."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Raises OptionError, Refused, KernelError."""
        name = params.get("name")
        if name and not digest.is_digest(name):
            name = image_name("name", name)
        try:
            if name:
                image = self.store.resolve(name)
                found = [image] if image is not None else []
            else:
                found = list(self.store.images())
            garbage = prune.unused(self.store)
        except ImageError as error:
            raise Refused(str(error)) from error
        images = [describe(self.store, image) for image in found]
        return {"images": images, "unused_bytes": garbage.size}


class ImagePrune(Resource[None, Garbage]):
    """The module oci_image_prune."""

    name = "oci_image_prune"

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()

    def desired(self, params: Mapping[str, Any]) -> None:
        return None

    def locks(self, desired: None) -> tuple[str, ...]:
        return (LOCK,)

    def kernel(self) -> Any:
        return image_kernel(self.store)

    def observe(self, desired: None) -> Garbage:
        try:
            unused = prune.unused(self.store)
        except ImageError as error:
            raise Refused(str(error)) from error
        if not half_made(self.store):
            return unused
        return dataclasses.replace(unused, half_made=True, size=unused.size + prune.half_made_bytes(self.store))

    def plan(self, desired: None, observed: Garbage) -> Plan:
        return plan_prune(observed)


class ImageExport(Resource[Export, Exported]):
    """The modules oci_image_push and oci_image_save."""

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

    def observe(self, desired: Export) -> Exported:
        try:
            image = self.store.resolve(desired.name)
            if image is None:
                return Exported(None)
            if desired.form == "docker":
                return Exported(image, export.registry_has(image, desired.destination, desired.access))
            there = saved.look(desired.destination, desired.form)
            return Exported(image, saved.holds(there, image, desired.form), there.obstacle, there.half_made)
        except ImageError as error:
            raise Refused(str(error)) from error

    def plan(self, desired: Export, observed: Exported) -> Plan:
        return plan_export(desired, observed)
