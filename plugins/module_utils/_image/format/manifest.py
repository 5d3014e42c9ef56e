# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What manifests and indexes say, OCI image-spec manifest.md and image-index.md: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ImageError
from . import digest as digests
from . import platforms, shapes
from .media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from .platforms import Platform

_LIMIT = 4 << 20


@dataclass(frozen=True)
class Layer:
    """A layer of an image that is to be in the store; ``size`` is the blob's."""

    digest: str
    size: int
    diff_id: str
    chain_id: str


def layers_of(manifest: Mapping[str, Any], diff_ids: tuple[str, ...]) -> tuple[Layer, ...]:
    """A manifest's layers with what the configuration says of them, the bottommost first; check_manifest was called.

    Raises ImageError.
    """
    listed = manifest["layers"]
    if len(listed) != len(diff_ids):
        raise ImageError(f"the manifest lists {len(listed)} layers, the configuration {len(diff_ids)}")
    layers = []
    for descriptor, diff_id, chain_id in zip(listed, diff_ids, digests.chain_ids(diff_ids)):
        kind = descriptor["mediaType"]
        if not _is_layer(kind):
            raise ImageError(f"a layer has the media type {kind!r}, which is no file system layer")
        layers.append(Layer(descriptor["digest"], descriptor["size"], diff_id, chain_id))
    return tuple(layers)


def _is_layer(kind: str) -> bool:
    oci = kind.startswith("application/vnd.oci.image.layer.")
    docker = kind.startswith("application/vnd.docker.image.rootfs.")
    return oci or docker


def check_manifest(document: Mapping[str, Any], what: str, size: int) -> None:
    """Raises ImageError for anything but an image's manifest."""
    kind = document.get("mediaType") or (OCI_MANIFEST if document.get("schemaVersion") == 2 else "schema 1")
    if kind not in (OCI_MANIFEST, DOCKER_MANIFEST):
        raise ImageError(f"{what}: its manifest is of the type {kind!r}, which is no image", "Use another tag")
    shapes.check_manifest(document, what)
    if size > _LIMIT:
        raise ImageError(f"{what}: its manifest has {size} bytes, more than {_LIMIT}")


def choose(index: Mapping[str, Any], wanted: Sequence[Platform], what: str) -> str:
    """The digest of the image for the first of these platforms that there is one for, image-index.md.

    Raises ImageError that lists what there is.
    """
    kind = index.get("mediaType", OCI_INDEX)
    if kind not in (OCI_INDEX, DOCKER_LIST):
        raise ImageError(f"{what}: an index of the type {kind!r}")
    entries = shapes.entries_of(index, f"the index of {what}")
    for platform in wanted:
        for entry in entries:
            if _platform(entry).meets(platform):
                return _image(entry, platform, what)
    offered = sorted({str(_platform(entry)) for entry in entries} - {"", "unknown/unknown"})
    if not offered:
        hint = "Give the one to take by its digest, as registry.reference"
        raise ImageError(f"{what} is an index that says of no image which platform it is for", hint)
    hint = "Name a platform that it has as registry.platform, or use another image"
    raise ImageError(f"{what} has no image for {_named(wanted)}, only for {', '.join(offered)}", hint)


def _platform(entry: Mapping[str, Any]) -> Platform:
    return platforms.of(entry.get("platform") or {})


def _named(wanted: Sequence[Platform]) -> str:
    """A host's many variants are one platform to whoever reads of them."""
    return str(wanted[0]) if len(wanted) == 1 else f"{wanted[0].os}/{wanted[0].architecture}"


def _image(entry: Mapping[str, Any], platform: Platform, what: str) -> str:
    digest = digests.check(entry.get("digest"), "manifest")
    if entry.get("mediaType") in (OCI_INDEX, DOCKER_LIST):
        hint = f"Give that as registry.reference: the same repository, with @{digest} for the tag"
        raise ImageError(f"{what}: for {platform} its index has another index", hint)
    return digest
