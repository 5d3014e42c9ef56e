# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of one layer, or one more layer, that are made here of a tree or of its tar."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ..._kernel.errors import KernelError
from ..format import config as configs
from ..format.config import LayerBlob
from ..format.media_types import OCI_LAYER
from ..layers import lower
from ..layers.policy import Policy, check_policy
from ..layers.tarwriter import TarWriter, Written
from ..store import disk
from ..store.progress import Progress
from ..store.unpack import unpack_blob
from ..store.write import Writer

_MEDIA_TYPES = {"none": OCI_LAYER, "gzip": OCI_LAYER + "+gzip", "zstd": OCI_LAYER + "+zstd"}


def write_tree(writer: Writer, tree: str, target: str, **options: Any) -> Written:
    """A directory as a tar file in staging; ``options`` are TarWriter's. Raises KernelError, ImageError."""
    try:
        with open(target, "xb", buffering=1 << 20) as handle:
            return TarWriter(handle, **options).write_tree(tree)
    except KernelError:
        raise
    except OSError as error:
        wrapped = KernelError.wrap(error, "write", target)
        if error.errno in disk.FULL:
            # It is kept as a blob and unpacked.
            needed = 2 * TarWriter(None, **options).write_tree(tree).size
            writer.explain(wrapped, f"about {needed}")
        raise wrapped from error


def describe_image(
    layers: list[LayerBlob],
    created_by: str,
    created_ns: int,
    base: Mapping[str, Any] | None = None,
    base_layers: list[Mapping[str, Any]] | None = None,
    architecture: str = "",
) -> tuple[bytes, bytes]:
    """Manifest and configuration of an image made here."""
    document = configs.new_document(layers, created_by, created_ns, base, architecture)
    return configs.new_manifest(document, [*(base_layers or []), *map(configs.descriptor, layers)])


def store_layer_image(
    writer: Writer,
    blob: str,
    documents: Callable[[LayerBlob], tuple[bytes, bytes]],
    policy: Policy,
    progress: Progress,
) -> str:
    """A single-layer image whose layer lies in staging: unpack it, take everything over."""
    home, size = writer.path("layer"), os.stat(blob).st_size
    try:
        record = unpack_blob(
            blob, home, None, policy.limits, lambda report: progress.update("unpacking", int(report["bytes"]), size)
        )
    except KernelError as error:
        writer.explain(error, f"about {2 * size}")
        raise
    lower.complete(home + "/fs", record, [])
    layer = LayerBlob(record["blob"], record["blob_size"], record["diff_id"], _MEDIA_TYPES[record["compression"]])
    check_policy(layer.digest, record, policy)
    writer.sync()
    writer.take_layer(home, layer.diff_id, record)
    writer.take_blob(blob, layer.digest)
    return writer.put_image(*documents(layer))
