# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The changes that operations make to the store, each whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..._kernel import files
from ..._kernel.errors import KernelError
from ..errors import ImageError
from ..format import config
from ..format.manifest import layers_of
from ..format.shapes import parse_document
from ..layers.policy import Policy
from ..registry.access import Access
from ..sources.source import Seen, Source, check_pin
from ..store import replaced
from ..store.damage import Damage
from ..store.progress import Progress
from ..store.store import CONTAINERS_LOCK, Store
from ..store.unpack import Unpacking
from ..store.write import Writer
from . import export, prune


class Images:
    """``kernel.images`` of the image resources; ``kernel`` is what files are changed with."""

    def __init__(self, store: Store, kernel: Any) -> None:
        self._store = store
        self._kernel = kernel

    def obtain(
        self,
        reference: str,
        source: Source,
        seen: Seen,
        overrides: Mapping[str, Any],
        policy: Policy,
        progress: str = "",
    ) -> None:
        """Make or pull the image and give it its name. Raises ImageError, KernelError."""
        shown = Progress(progress)
        with Writer(self._store, self._kernel) as writer, contextlib.closing(shown):
            try:
                digest = source.obtain(writer, seen, policy, shown)
                check_pin(reference, source, seen, digest)
                taken = source.taken(self._store, seen, digest)
                recorded = {"kind": source.kind, "parts": source.parts(), "key": taken.key, "stamp": taken.stamp}
                recorded["content"] = taken.content
                self._name(writer, reference, digest, recorded, overrides)
            except BaseException:
                self._drop_unnamed()
                raise

    def configure(self, reference: str, base: str, source: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
        """Another configuration on the layers of ``base``."""
        with Writer(self._store, self._kernel) as writer:
            self._name(writer, reference, base, source, overrides)

    def discard(self, damage: Damage) -> None:
        """Take damaged blobs and layers out of the store, so that what comes from the source takes their place.

        A layer that containers run on stays under another name until they end.
        """
        with Writer(self._store, self._kernel), files.locked(CONTAINERS_LOCK):
            blobs = tuple(path for path in map(self._store.blob_path, damage.blobs) if os.path.exists(path))
            layers = {path for path in map(self._store.layer_home, damage.layers) if os.path.exists(path)}
            used = {path for path in layers if replaced.running_on(self._store, path)}
            for path in sorted(used):
                self._kernel.files.rename(path, replaced.old_home(path))
            prune.remove(prune.Garbage(blobs, tuple(sorted(layers - used))), self._kernel)

    def restore(self, digest: str) -> None:
        """Unpack from its blobs what is missing of an image."""
        image = self._store.image(digest)
        with Writer(self._store, self._kernel) as writer:
            unpacking = Unpacking(writer, layers_of(image.manifest, image.diff_ids), Policy(), Progress())
            unpacking.run(lambda layer: self._store.blob_path(layer.digest), lambda: False)
            unpacking.place(lambda layer: self._store.blob_path(layer.digest))

    def _drop_unnamed(self) -> None:
        """Of an image that failed late there are layers already. Whoever is short of space needs it."""
        with contextlib.suppress(ImageError, KernelError):  # the error that led here is the one to tell
            self._remove_unused()

    def _remove_unused(self) -> prune.Garbage:
        """Looked at and removed while no container can begin to use it: what was planned may have been long ago."""
        with files.locked(CONTAINERS_LOCK):
            garbage = prune.unused(self._store)
            prune.remove(garbage, self._kernel)
        return garbage

    def _name(
        self, writer: Writer, reference: str, base: str, recorded: Mapping[str, Any], overrides: Mapping[str, Any]
    ) -> None:
        digest = base
        manifest = parse_document(self._store.read_blob(base), "manifest")
        document = parse_document(self._store.read_blob(str(manifest["config"]["digest"])), "configuration")
        documents = config.with_overrides(manifest, document, overrides)
        if documents is not None:
            digest = writer.put_image(*documents)
        writer.name(reference, digest, {**recorded, "base": base, "overrides": dict(overrides)})
        # What the name meant until now goes, unless another name or a container holds it.
        self._remove_unused()

    def remove(self, reference: str, users: Collection[str]) -> None:
        """The name first: what is left half-removed after that is nobody's image.

        Raises ImageError where another container than ``users`` has been made from it meanwhile.
        """
        with Writer(self._store, self._kernel) as writer:
            with files.locked(CONTAINERS_LOCK):
                new = set(self._store.users(self._store.names().get(reference, ""))) - set(users)
                if new:
                    raise ImageError(f"container {', '.join(sorted(new))} has just been made from it", "Run it again")
                writer.unname(reference)
            self._remove_unused()

    def export(self, name: str, destination: str, form: str, access: Access) -> None:
        """To a registry (``form`` docker), or into an archive or layout of that form."""
        image = self._store.resolve(name)
        if image is None:
            raise ImageError(f"there is no image {name} any more")
        if form == "docker":
            export.push(self._store, image, destination, access, self._kernel)
        else:
            export.save(self._store, image, destination, form, self._kernel)

    def hand_out(self, blobs: Iterable[str], path: str) -> None:
        export.hand_out(self._store, blobs, path)

    def prune(self) -> prune.Garbage:
        """Remove what nothing uses and what is half-made; returns what that was."""
        half_made = prune.half_made_bytes(self._store)
        with Writer(self._store, self._kernel):
            garbage = self._remove_unused()
        return dataclasses.replace(garbage, size=garbage.size + half_made)
