# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a saved image holds what it names: names in it are claims, and a disk or a copy may have damaged it."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ..._kernel.errors import KernelError
from ..errors import ImageError
from ..format.manifest import Layer
from ..layers.policy import Limits
from ..layers.stream import LayerStream

#: Opens what an archive or layout has under a name. Raises KeyError, OSError, KernelError, tarfile.TarError.
Opener = Callable[[str], BinaryIO]
_UNREADABLE = (KeyError, OSError, KernelError, tarfile.TarError, EOFError, zlib.error, ImageError)
_READ = 1 << 20


@dataclass(frozen=True)
class Blob:
    """A layer in an archive or layout: its name there; its digest and bytes as the manifest has them, if it does."""

    name: str
    digest: str = ""
    size: int = -1


def blob_name(digest: str) -> str:
    """Where a layout has a blob, OCI image-spec image-layout.md."""
    return "blobs/" + digest.replace(":", "/")


def is_there(opened: Opener, name: str, digest: str) -> bool:
    """Whether a file in it has that digest."""
    try:
        with opened(name) as handle:
            return _digest_and_size(handle)[0] == digest
    except _UNREADABLE:
        return False


def holds_layers(blobs: Sequence[Blob], opened: Opener, layers: Sequence[Layer]) -> bool:
    """Whether these are the layers, by their content.

    A blob of the image itself is only hashed, as the store has seen what it unpacks to. Any other (an archive may hold
    a layer in another compression) is decompressed too, and compared by its diff ID.
    """
    known: dict[Blob, str] = {}
    try:
        for blob, layer in zip(blobs, layers):
            if blob not in known:
                known[blob] = _diff_id(blob, opened, layer)
            if known[blob] != layer.diff_id:
                return False
    except _UNREADABLE:
        return False
    return len(blobs) == len(layers)


def _diff_id(blob: Blob, opened: Opener, layer: Layer) -> str:
    """The diff ID of what is there; empty where the manifest says something else about it."""
    with opened(blob.name) as handle:
        if blob.digest == layer.digest:
            return layer.diff_id if _digest_and_size(handle) == (blob.digest, blob.size) else ""
        stream = LayerStream(handle, Limits().size)
        try:
            stream.finish()
        finally:
            stream.close()
    stands_to_it = not blob.digest or (stream.blob_digest, stream.blob_size) == (blob.digest, blob.size)
    return stream.diff_id if stands_to_it else ""


def _digest_and_size(handle: BinaryIO) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    while chunk := handle.read(_READ):
        hasher.update(chunk)
        size += len(chunk)
    return "sha256:" + hasher.hexdigest(), size
