# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blobs of an image on their way to another host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .._core.errors import OptionError, Refused
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import Resource
from .._image.changes.export import Blob, blobs_of
from .._image.errors import ImageError
from .._image.format.digest import is_digest
from .._image.sources import handed
from .._image.store.store import LOCK, Store
from .host import image_kernel
from .options import image_name
from .plan_export import HandOut, HeldBlobs, plan_hand_out


class ImageBlobs(Resource[HandOut, HeldBlobs]):
    """The module oci_image where the action plugin asks a host that seeds others (``hand_out``): which blobs the image
    has, and to lay those that are lacking elsewhere into a directory."""

    name = "oci_image"

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()

    def desired(self, params: Mapping[str, Any]) -> HandOut:
        asked = params["hand_out"]
        blobs, path = tuple(dict.fromkeys(asked.get("blobs") or ())), asked.get("path") or ""
        for digest in blobs:
            if not is_digest(digest):
                raise OptionError("hand_out.blobs", digest, "is no digest")
        if path and not path.startswith("/"):
            raise OptionError("hand_out.path", path, "write an absolute path of the host")
        return HandOut(image_name("name", params["name"]), blobs, path)

    def locks(self, desired: HandOut) -> tuple[str, ...]:
        return (LOCK,)

    def kernel(self) -> Any:
        return image_kernel(self.store)

    def observe(self, desired: HandOut, world: World) -> HeldBlobs:
        try:
            image = self.store.resolve(desired.name)
            held = blobs_of(self.store, image) if image is not None else ()
        except ImageError as error:
            raise Refused(str(error)) from error
        if desired.path and not os.path.isdir(desired.path):
            raise Refused(f"hand_out.path: there is no directory {desired.path}")
        there = [digest for digest in desired.blobs if self._lies(desired.path, digest, held)]
        return HeldBlobs(image, held, tuple(there))

    @staticmethod
    def _lies(path: str, digest: str, held: tuple[Blob, ...]) -> bool:
        target = f"{path}/{handed.file_name(digest)}"
        sizes = {blob.digest: blob.size for blob in held}
        return os.path.isfile(target) and os.stat(target).st_size == sizes.get(digest)

    def plan(self, desired: HandOut, observed: HeldBlobs) -> Plan:
        return plan_hand_out(desired, observed)

    def facts(self, desired: HandOut, observed: HeldBlobs) -> dict[str, Any]:
        return {
            "digest": observed.blobs[0].digest,
            "blobs": [{"digest": blob.digest, "size": blob.size} for blob in observed.blobs],
            "platform": handed.platform(),
        }
