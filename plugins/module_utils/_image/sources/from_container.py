# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commit: what a container has written becomes a layer on top of its image's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._kernel import cgroup, container_records, files
from ..._kernel.errors import absent
from ..errors import ImageError
from ..format import digest as digests
from ..format.config import LayerBlob
from ..layers.policy import Policy
from ..layers.tarwriter import TarWriter, Written
from ..store.progress import Progress
from ..store.store import Image, Store
from ..store.write import Writer
from . import mount_points, one_layer, source
from .source import Seen, Source


@dataclass(frozen=True)
class Container(Source):
    """A container of this host. The same upper directory gives the same digest. It is paused while it is read.

    Owners are those inside the container: layers are stored unshifted, a user namespace is applied by the mount.
    """

    name: str = ""
    kind = "container"
    holds_still = True

    def describe(self) -> str:
        return f"container {self.name}"

    def given(self) -> tuple[str, str]:
        return "container", self.name

    def builds_on(self, store: Store) -> Image:
        return self._parts(store)[0]

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """The key is the digest of what is committed: the upper directory is read, but nothing is written."""
        base, upper = self._parts(store)
        with cgroup.paused(self._cgroup(store)):
            written = TarWriter(None, **self._options(store, base, upper)).write_tree(upper)
        manifest, _config = self._documents(base, written)
        content = source.amount(written.entries, "change", "changes", written.size)
        return Seen(self._key(base, written.diff_id), digests.of_bytes(manifest), content=content)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        base, upper = self._parts(writer.store)
        progress.update("reading", text=self.name)
        blob = writer.path("layer.tar")
        with cgroup.paused(self._cgroup(writer.store)):
            written = one_layer.write_tree(writer, upper, blob, **self._options(writer.store, base, upper))
        return one_layer.store_layer_image(
            writer, blob, lambda _layer: self._documents(base, written), policy, progress
        )

    def taken(self, store: Store, seen: Seen, digest: str) -> Seen:
        """It runs on between being looked at and being read."""
        base, _upper = self._parts(store)
        key = self._key(base, store.image(digest).diff_ids[-1])
        return seen if key == seen.key else Seen(key, digest)

    @staticmethod
    def _key(base: Image, diff_id: str) -> str:
        return source.key_of(base.digest, diff_id)

    def _parts(self, store: Store) -> tuple[Image, str]:
        home = f"{store.containers}/{self.name}"
        declared = container_records.read(self.name, store.containers)
        if declared is None:
            why = f"there is no container {self.name} on this host"
            raise absent(ImageError(why, "Make it first, or correct the name"))
        base = store.resolve(str(declared.get("image_digest") or ""))
        if base is None:
            raise ImageError(f"the image of container {self.name} is not on this host any more")
        if not os.path.isdir(f"{home}/upper"):
            raise ImageError(f"container {self.name} has no directory of its own to commit")
        return base, f"{home}/upper"

    def _options(self, store: Store, base: Image, upper: str) -> dict[str, Any]:
        """How the upper directory is read: without what the runtime alone put there."""
        bundle = files.read_json(f"{store.containers}/{self.name}/bundle/config.json")
        return {"overlay": True, "exclude": mount_points.made(upper, base.lowerdirs, mount_points.mounted(bundle))}

    def _cgroup(self, store: Store) -> str:
        """Where its processes are while it runs."""
        launch = container_records.read_launch(self.name, store.containers) or {}
        return str(launch.get("cgroup", "/nowhere"))

    @staticmethod
    def _documents(base: Image, written: Written) -> tuple[bytes, bytes]:
        layer = LayerBlob(written.diff_id, written.size, written.diff_id)
        below = list(base.manifest["layers"])
        return one_layer.describe_image([layer], "commit", written.newest_ns, base.document, below)
