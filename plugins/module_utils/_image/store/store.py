# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the store: an OCI image layout (image-layout.md) whose blobs all images share, and unpacked layers.

    oci-layout, index.json            the names: one descriptor each, annotated with the reference and its source
    blobs/sha256/HEX                  manifests, configurations and layers as transported
    layers/HEX/fs, layers/HEX/layer.json   a layer unpacked, ready to be an overlay lowerdir, and what is in it
    staging/                          what is half-made; cleared by the next run

HEX of a layer is that of its diff ID. A layer that takes from those below it (a hard link to a file of theirs, a
parent directory that it does not carry) is only right on top of them and is named by its chain ID instead.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._kernel import container_records, files, locations, record_file
from ..._kernel.errors import KernelError
from ..errors import ImageError
from ..format import digest as digests
from ..format import reference as references
from ..format import shapes
from ..format.shapes import parse_document
from ..layers.overlay_marks import is_opaque

#: Annotations of the descriptors in index.json.
REF_NAME = "org.opencontainers.image.ref.name"
SOURCE = "io.barekernel.source"
#: Of the store, in its file oci-layout.
LAYOUT_VERSION = "1.0.0"
#: Held while the store is changed, which may take minutes.
LOCK = "images"
#: Stands for the digest of an image that is yet to be made: it differs from every digest.
NOT_YET = "sha256:" + "0" * 64
#: Held by whoever makes containers, and by whoever removes from the store while he looks at what containers use: with
#: ``images`` held already, never the other way round.
CONTAINERS_LOCK = "containers"


@dataclass(frozen=True)
class Image:
    """An image that is in the store.

    ``layers`` are the unpacked layers' absolute paths, the topmost first; ``lowerdirs`` those of them that are seen, as
    overlayfs wants them; ``missing`` those that someone had removed when the image was read. ``diff_ids`` and
    ``chain_ids`` are the bottommost first, as the configuration lists them. ``document`` is the whole OCI image
    configuration, ``source`` what the image was made from (as the module recorded it).
    """

    reference: str
    digest: str
    manifest: Mapping[str, Any]
    document: Mapping[str, Any]
    layers: tuple[str, ...]
    source: Mapping[str, Any]
    lowerdirs: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        """Entrypoint, Cmd, Env, WorkingDir, User, ExposedPorts, Volumes, StopSignal, Labels, Healthcheck."""
        config = self.document.get("config")
        return config if isinstance(config, Mapping) else {}

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return diff_ids_of(self.document)

    @property
    def chain_ids(self) -> tuple[str, ...]:
        return digests.chain_ids(self.diff_ids)

    @property
    def size(self) -> int:
        """Bytes of the blobs: configuration and layers as transported."""
        return int(self.manifest["config"]["size"]) + sum(int(layer["size"]) for layer in self.manifest["layers"])


def diff_ids_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The diff IDs of an image configuration (shapes.check_config), bottommost first."""
    return tuple(document["rootfs"]["diff_ids"])


class Store:
    """The store below ``root``. Reading changes nothing and takes no lock: every change is one rename."""

    def __init__(
        self,
        root: str = locations.IMAGES,
        containers: str = locations.CONTAINERS,
        going: frozenset[str] = frozenset(),
    ) -> None:
        """``going`` are containers that count no more, as they will be removed before anything of the store is."""
        self.root = root
        self.containers = containers
        self.going = going

    def container_names(self) -> list[str]:
        """Whoever may use an image."""
        return [name for name in container_records.names(self.containers) if name not in self.going]

    def blob_path(self, digest: str) -> str:
        return f"{self.root}/blobs/{digests.check(digest).replace(':', '/')}"

    def has_blob(self, digest: str) -> bool:
        return os.path.isfile(self.blob_path(digest))

    def read_blob(self, digest: str) -> bytes:
        """A small blob (manifest, configuration), its digest checked. Raises ImageError, KernelError."""
        path = self.blob_path(digest)
        try:
            with open(path, "rb") as handle:
                content = handle.read()
        except FileNotFoundError:
            raise ImageError(f"blob {digest} is missing from {self.root}", "Run oci_image with verify") from None
        except OSError as error:
            raise KernelError.wrap(error, "open", path) from error
        if digests.of_bytes(content) != digest:
            raise ImageError(f"blob {digest} in {self.root} is damaged", "Run oci_image with verify")
        return content

    def layer_home(self, key: str) -> str:
        """Where the layer of that diff or chain ID is or would be: holds ``fs`` and ``layer.json``."""
        return f"{self.root}/layers/{digests.check(key).partition(':')[2]}"

    def layer_key(self, diff_id: str, chain_id: str) -> str | None:
        """Which of its two names the unpacked layer bears; None when it is not unpacked.

        The chain ID first: where it exists, the layer on top of these is another one than by itself.
        """
        for key in (chain_id, diff_id):
            if os.path.isdir(self.layer_home(key) + "/fs"):
                return key
        return None

    def layer_record(self, key: str) -> Mapping[str, Any]:
        """What was written down when the layer was unpacked (sizes, entries, devices, setuid files)."""
        return record_file.read(self.layer_home(key) + "/layer.json") or {}

    def blobs_seen(self, key: str) -> frozenset[str]:
        """Digests of the blobs that were unpacked to, or read and compared with, the unpacked layer of that name.

        A configuration and a manifest only claim which blob holds which layer.
        """
        record = self.layer_record(key)
        seen = record.get("blobs")
        more = seen if isinstance(seen, list) else []
        return frozenset(str(blob) for blob in (record.get("blob"), *more) if blob)

    def descriptors(self) -> tuple[Mapping[str, Any], ...]:
        """The entries of index.json; empty where there is no store yet. Raises ImageError."""
        index = files.read_json(f"{self.root}/index.json")
        if index is None:
            return ()
        self._check_layout()
        try:
            entries = shapes.entries_of(index, f"{self.root}/index.json")
            for entry in entries:
                digests.check(entry["digest"], f"digest in {self.root}/index.json")
            return tuple(entries)
        except ImageError as error:
            raise ImageError(str(error), "It names the images of this host: restore it from a backup") from None

    def _check_layout(self) -> None:
        """Raises ImageError for a layout that this code does not know (OCI image-layout.md, oci-layout)."""
        layout = files.read_json(f"{self.root}/oci-layout")
        version = layout.get("imageLayoutVersion") if isinstance(layout, Mapping) else LAYOUT_VERSION
        if str(version).partition(".")[0] != LAYOUT_VERSION.partition(".")[0]:
            words = f"{self.root} is an image layout of version {version}; this code reads {LAYOUT_VERSION}"
            raise ImageError(words, "Use the version of barekernel.containers that wrote it, or a newer one")

    def names(self) -> dict[str, str]:
        """Reference to manifest digest, for every named image."""
        return {reference_of(d): str(d["digest"]) for d in self.descriptors() if reference_of(d)}

    def named(self, reference: str) -> Image | None:
        """The image that bears this name in full; None where none does. Raises ImageError as resolve() does."""
        for descriptor in self.descriptors():
            if reference_of(descriptor) == reference:
                return self.image(str(descriptor["digest"]), reference, source_of(descriptor))
        return None

    def resolve(self, name: str) -> Image | None:
        """The image of that name, ``NAME@DIGEST`` or digest; None where the store has none.

        Raises ImageError for a name that is none, or an image whose blobs are missing or damaged.
        """
        wanted = full_name(name)
        by_digest = wanted.rpartition("@")[2] if "@" in wanted or digests.is_digest(name) else ""
        if (named := self.named(wanted)) is not None or not by_digest:
            return named
        for descriptor in self.descriptors():
            if descriptor.get("digest") == by_digest:
                return self.image(by_digest, reference_of(descriptor), source_of(descriptor))
        # An image whose name has moved on stays as long as a container is made from it.
        return self.image(by_digest) if self.has_blob(by_digest) else None

    def image(self, digest: str, reference: str = "", source: Mapping[str, Any] | None = None) -> Image:
        """The image with that manifest. Raises ImageError where blobs of it are missing or damaged."""
        manifest = parse_document(self.read_blob(digest), "manifest")
        shapes.check_manifest(manifest, f"image {reference or digest}")
        document = parse_document(self.read_blob(str(manifest["config"]["digest"])), "image configuration")
        shapes.check_config(document, "the image configuration")
        diff_ids = diff_ids_of(document)
        layers: list[str] = []
        missing: list[str] = []
        for diff_id, chain_id in reversed(tuple(zip(diff_ids, digests.chain_ids(diff_ids)))):
            key = self.layer_key(diff_id, chain_id)
            layers.append(self.layer_home(key or diff_id) + "/fs")
            missing += [] if key else layers[-1:]
        seen = _seen(layers)
        return Image(reference, digest, manifest, document, tuple(layers), source or {}, seen, tuple(missing))

    def users(self, digest: str) -> tuple[str, ...]:
        """Containers made from that image: read from what they declare, never counted."""
        return tuple(name for name in self.container_names() if self._image_of(name) == digest)

    def _image_of(self, container: str) -> str | None:
        try:
            declared = container_records.read(container, self.containers)
        except KernelError as error:
            # Not knowing what a container uses must not make its image look unused.
            if error.errno == errno.EBADMSG:
                raise
            return None
        return declared.get("image_digest") if declared is not None else None


def _seen(layers: Sequence[str]) -> tuple[str, ...]:
    """The layers, topmost first, down to one that hides all below it: overlayfs heeds no such mark on a root."""
    for count, layer in enumerate(layers, 1):
        if is_opaque(layer):
            return tuple(layers[:count])
    return tuple(layers)


def reference_of(descriptor: Mapping[str, Any]) -> str:
    """The name of the image that a descriptor of index.json is for (OCI image-spec, annotations.md); empty: none."""
    annotations = descriptor.get("annotations") or {}
    return str(annotations.get(REF_NAME, ""))


def source_of(descriptor: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the image was made from, as it was declared then; empty where that is not known."""
    annotations = descriptor.get("annotations") or {}
    try:
        source = json.loads(annotations.get(SOURCE, "{}"))
    except ValueError:
        return {}
    return source if isinstance(source, Mapping) else {}


def full_name(name: str) -> str:
    """A name of an image as the store spells it; a digest stays one. Raises ImageError for a name that is none."""
    return name if digests.is_digest(name) else str(references.parse(name))


def on_host(name: str) -> Image | None:
    """The image that this host has under a full_name(). Raises ImageError."""
    return Store().resolve(name)
