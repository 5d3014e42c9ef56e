# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What manifests and indexes say, OCI image-spec manifest.md and image-index.md: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import config as configs
from . import digest as digests
from . import shapes
from .errors import ImageError
from .store import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

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


def choose(index: Mapping[str, Any], platform: str, what: str) -> str:
    """The digest for a platform out of an index, image-index.md. Raises ImageError that lists what there is."""
    if index.get("mediaType", OCI_INDEX) not in (OCI_INDEX, DOCKER_LIST):
        raise ImageError(f"{what}: an index of the type {index.get('mediaType')!r}")
    architecture, variant = configs.host_platform()
    parts = platform.split("/") if platform else ["linux", architecture, variant]
    offered = []
    found = []
    for entry in shapes.entries_of(index, f"the index of {what}"):
        its = entry.get("platform") or {}
        offered.append("/".join(filter(None, (its.get("os"), its.get("architecture"), its.get("variant")))))
        if [its.get("os"), its.get("architecture")] == parts[:2]:
            found.append(((its.get("variant") or "") == (parts[2] if len(parts) > 2 else ""), entry))
    if not found:
        wanted = "/".join(filter(None, parts))
        raise ImageError(f"{what} has no image for {wanted}, only for {', '.join(sorted(set(offered))) or 'nothing'}")
    # The exact variant where there is one, else the first of the architecture.
    return digests.check(max(found, key=lambda pair: pair[0])[1].get("digest"), "manifest")
