# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image from a registry: its manifest is kept byte for byte, so its digest is the registry's."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import config as configs
from . import digest as digests
from . import disk, source, transport
from . import reference as references
from .errors import ImageError, Unreachable
from .progress import Progress
from .source import Seen, Source
from .store import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Store, diff_ids_of, parse_document
from .transport import Access, Skopeo
from .unpack import Layer, Policy, Unpacking, layers_of
from .write import Writer

_BEFORE_RETRY = 1.0
_MANIFEST_LIMIT = 4 << 20


@dataclass(frozen=True)
class Registry(Source):
    """``platform`` is OS/ARCHITECTURE[/VARIANT], empty for the host's own. ``tolerant`` keeps what is there where the
    registry cannot be asked."""

    reference: str = ""
    platform: str = ""
    access: Access = field(default_factory=Access)
    tolerant: bool = False
    forbidden: bool = False
    kind = "registry"

    def describe(self) -> str:
        return f"docker://{self.reference}"

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """Asks the registry for the manifest and for nothing else. The key is its digest."""
        if self.forbidden:
            raise ImageError(f"{self.reference} is not on this host, and pull is never", "Pull it, or load it")
        try:
            manifest = self.manifest()
        except Unreachable as error:
            if self.tolerant and recorded.get("key"):
                warning = f"kept as it is: {error}"
                return Seen(str(recorded["key"]), str(recorded.get("base", "")), warning=warning)
            raise
        digest = digests.of_bytes(manifest)
        return Seen(digest, digest, carried=manifest)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        manifest = seen.carried
        document = parse_document(manifest, "manifest")
        progress.update("asking", text=self.reference)
        incoming = Incoming(writer)
        incoming.offer([str(layer.get("digest")) for layer in document.get("layers", [])])
        with self.copying(seen.key, incoming.blobs, incoming.target) as copying:
            config = self._config(references.parse(self.reference).at(seen.key), document)
            layers = layers_of(document, diff_ids_of(configs.parse(config)))
            disk.check_room(writer.store.root, incoming.missing(layers), f"image {self.reference}")
            incoming.take(layers, policy, progress, copying.going)
        incoming.keep(layers)
        return source.put_documents(writer, (manifest, config))

    @contextlib.contextmanager
    def copying(self, digest: str, blobs: str, target: str) -> Iterator[Copying]:
        """Has skopeo bring the image with that manifest: what is not in the directory ``blobs`` appears there."""
        pinned = references.parse(self.reference).at(digest)
        with self.access.options("src-", self._registry()) as (options, fds):
            command = [*self.access.global_options(), "copy", *options, *COPY_OPTIONS]
            command += [f"--dest-shared-blob-dir={blobs}", f"docker://{pinned}", target]
            copying = Copying(command, self.reference, fds, self.access.retries)
            try:
                yield copying
            finally:
                copying.close()

    def _registry(self) -> str:
        return references.parse(self.reference).domain

    def _config(self, pinned: references.Reference, manifest: Mapping[str, Any]) -> bytes:
        wanted = digests.check((manifest.get("config") or {}).get("digest"), "configuration")
        config = transport.inspect(f"docker://{pinned}", self.access, self._registry(), config=True)
        if digests.of_bytes(config) != wanted:
            raise ImageError(f"{self.reference}: the configuration's digest is not {wanted}")
        return config

    def manifest(self) -> bytes:
        """The manifest for the platform. Raises Unreachable, ImageError."""
        name = references.parse(self.reference)
        content = transport.inspect(f"docker://{name}", self.access, self._registry())
        if name.digest and digests.of_bytes(content) != name.digest:
            raise ImageError(f"{self.reference}: the registry answered with another digest")
        document = parse_document(content, f"manifest of {self.reference}")
        if "manifests" in document:
            wanted = choose(document, self.platform, self.reference)
            content = transport.inspect(f"docker://{name.at(wanted)}", self.access, self._registry())
            if digests.of_bytes(content) != wanted:
                raise ImageError(f"{self.reference}: the registry answered with another digest than {wanted}")
            document = parse_document(content, f"manifest of {self.reference}")
        check_manifest(document, self.reference, len(content))
        return content


COPY_OPTIONS = ["--quiet", "--dest-oci-accept-uncompressed-layers", "--remove-signatures"]


class Copying:
    """A copy that is started again where it broke off; the blobs that have come by then stay.

    skopeo's own retries do not cover a connection that ends in the middle of a blob.
    """

    def __init__(self, command: list[str], what: str, fds: tuple[int, ...], retries: int) -> None:
        self._start: Callable[[], Skopeo] = lambda: Skopeo(command, what, fds)
        self._left = retries
        self._process = self._start()

    def going(self) -> bool:
        """Whether more may come. Raises Unreachable where it has failed for good."""
        if self._process.running:
            return True
        try:
            self._process.check()
        except Unreachable as error:
            if error.missing or not self._left:
                raise
            self._left -= 1
            self._process.close()
            time.sleep(_BEFORE_RETRY)
            self._process = self._start()
            return True
        return False

    def close(self) -> None:
        self._process.close()


def check_manifest(document: Mapping[str, Any], what: str, size: int) -> None:
    """Raises ImageError for anything but an image's manifest."""
    kind = document.get("mediaType") or (OCI_MANIFEST if document.get("schemaVersion") == 2 else "schema 1")
    if kind not in (OCI_MANIFEST, DOCKER_MANIFEST):
        raise ImageError(f"{what}: its manifest is of the type {kind!r}, which is no image", "Use another tag")
    config = document.get("config")
    if not isinstance(config, Mapping) or not isinstance(document.get("layers"), list):
        raise ImageError(f"{what}: its manifest names no configuration or no layers")
    if size > _MANIFEST_LIMIT:
        raise ImageError(f"{what}: its manifest has {size} bytes, more than {_MANIFEST_LIMIT}")


def choose(index: Mapping[str, Any], platform: str, what: str) -> str:
    """The digest for a platform out of an index, image-index.md. Raises ImageError that lists what there is."""
    if index.get("mediaType", OCI_INDEX) not in (OCI_INDEX, DOCKER_LIST):
        raise ImageError(f"{what}: an index of the type {index.get('mediaType')!r}")
    architecture, variant = configs.host_platform()
    parts = platform.split("/") if platform else ["linux", architecture, variant]
    offered = []
    found = []
    for entry in index.get("manifests") or []:
        its = entry.get("platform") or {}
        offered.append("/".join(filter(None, (its.get("os"), its.get("architecture"), its.get("variant")))))
        if [its.get("os"), its.get("architecture")] == parts[:2]:
            found.append(((its.get("variant") or "") == (parts[2] if len(parts) > 2 else ""), entry))
    if not found:
        wanted = "/".join(filter(None, parts))
        raise ImageError(f"{what} has no image for {wanted}, only for {', '.join(sorted(set(offered))) or 'nothing'}")
    # The exact variant where there is one, else the first of the architecture.
    return digests.check(max(found, key=lambda pair: pair[0])[1].get("digest"), "manifest")


class Incoming:
    """Where skopeo writes blobs, and how they get from there into the store."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._store = writer.store
        self.blobs = writer.path("blobs")
        self.target = f"oci:{writer.path('layout')}:image"
        os.makedirs(self.blobs + "/sha256")

    def offer(self, wanted: list[str]) -> None:
        """What the store has is not transported again: hard links, which cost nothing and go with staging."""
        for digest in wanted:
            if digests.is_digest(digest) and self._store.has_blob(digest):
                os.link(self._store.blob_path(digest), self.path(digest))

    def path(self, digest: str) -> str:
        return f"{self.blobs}/{digests.check(digest).replace(':', '/')}"

    def missing(self, layers: tuple[Layer, ...]) -> int:
        """Bytes that have to come."""
        return sum(layer.size for layer in layers if not self._store.has_blob(layer.digest))

    def find(self, layer: Layer) -> str | None:
        """A layer's blob once it is complete: skopeo renames it to its name only then."""
        path = self.path(layer.digest)
        return path if os.path.exists(path) else None

    def take(self, layers: tuple[Layer, ...], policy: Policy, progress: Progress, coming: Any) -> None:
        """Unpack each layer as soon as its blob has come."""
        unpacking = Unpacking(self._writer, layers, policy, progress)
        unpacking.run(self.find, coming)
        while coming():
            unpacking.rest()
        unpacking.place(self.find)

    def keep(self, layers: tuple[Layer, ...]) -> None:
        for layer in layers:
            path = self.find(layer)
            if path is not None:
                self._writer.take_blob(path, layer.digest)
            elif not self._store.has_blob(layer.digest):  # an image may hold the same layer twice
                raise ImageError(f"layer {layer.digest} did not come")
