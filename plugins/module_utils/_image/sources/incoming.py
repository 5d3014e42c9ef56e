# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blobs that come from elsewhere, and how they get into the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

from ..errors import ImageError
from ..format import digest as digests
from ..format.manifest import Layer
from ..layers.policy import Policy
from ..store.progress import Progress
from ..store.unpack import Unpacking
from ..store.write import Writer

#: With which skopeo writes them.
COPY_OPTIONS = ["--quiet", "--dest-oci-accept-uncompressed-layers", "--remove-signatures"]


class Coming(Protocol):
    """A transport: whether it goes on, and the bytes that it is to bring and has brought."""

    due: int

    def going(self) -> bool: ...

    @property
    def arrived(self) -> int: ...


class Incoming:
    """Where skopeo, or who else brings them, writes blobs."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._store = writer.store
        self.blobs = writer.path("blobs")
        self.layout = writer.path("layout")
        self.target = f"oci:{self.layout}:image"
        os.makedirs(self.blobs + "/sha256")

    def offer(self, wanted: Mapping[str, int]) -> int:
        """What of these the store has is not transported again: hard links, which cost nothing and go with staging.

        ``wanted`` has their sizes; returns the bytes that have to come.
        """
        missing = 0
        for digest, size in wanted.items():
            if self._store.has_blob(digest):
                os.link(self._store.blob_path(digest), self.path(digest))
            else:
                missing += size
        return missing

    def path(self, digest: str) -> str:
        return f"{self.blobs}/{digests.check(digest).replace(':', '/')}"

    def find(self, layer: Layer) -> str | None:
        """A layer's blob once it is complete: skopeo renames it to its name only then."""
        path = self.path(layer.digest)
        return path if os.path.exists(path) else None

    def take(self, layers: tuple[Layer, ...], policy: Policy, progress: Progress, coming: Coming | None = None) -> None:
        """Unpack each layer as soon as its blob has come; ``coming`` is None where all have."""

        def going() -> bool:
            return coming is not None and coming.going()

        def told() -> bool:
            """How far the transport is, which is what one waits for until it has ended."""
            if coming is None or coming.arrived >= coming.due:
                return False
            progress.update("pulling", coming.arrived, coming.due)
            return True

        unpacking = Unpacking(self._writer, layers, policy, progress)
        unpacking.run(self.find, going, told)
        while going():
            unpacking.rest()
        unpacking.place(self.find)

    def keep(self, layers: tuple[Layer, ...]) -> None:
        for layer in layers:
            path = self.find(layer)
            if path is not None:
                self._writer.take_blob(path, layer.digest)
            elif not self._store.has_blob(layer.digest):  # an image may hold the same layer twice
                raise ImageError(f"layer {layer.digest} did not come")
