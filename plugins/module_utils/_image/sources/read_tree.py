# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory, or the tar of a root file system, becomes an image of one layer."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ..._kernel import regular
from ..._kernel.errors import KernelError
from ..errors import ImageError
from ..format import digest as digests
from ..format.config import LayerBlob, rfc3339
from ..layers import tarstream
from ..layers.policy import Policy
from ..layers.stream import LayerStream, compression_of
from ..layers.tarwriter import TarWriter, Written
from ..store import disk
from ..store.progress import Progress
from ..store.unpack import refuse_cut
from ..store.write import Writer
from . import one_layer
from .from_tree import Directory, Rootfs
from .source import amount


def see(source: Directory) -> tuple[str, str, str]:
    """The layer's diff ID, the image's digest, and what to tell of the content: all is read, nothing written.

    Raises KernelError, ImageError.
    """
    written = TarWriter(None, **_options(source)).write_tree(source.path)
    manifest, _config = _of_directory(written)
    content = amount(written.entries, "entry", "entries", written.size)
    return written.diff_id, digests.of_bytes(manifest), f"{content}, the newest of {rfc3339(written.newest_ns)}"


def take_directory(source: Directory, writer: Writer, policy: Policy, progress: Progress) -> str:
    """See Source.obtain()."""
    progress.update("reading", text=source.path)
    blob = writer.path("layer.tar")
    written = one_layer.write_tree(writer, source.path, blob, **_options(source))
    return one_layer.store_layer_image(writer, blob, lambda _layer: _of_directory(written), policy, progress)


def _options(source: Directory) -> dict[str, Any]:
    """How TarWriter reads it."""
    return {
        "exclude": [path.encode("utf-8", "surrogateescape") for path in source.exclude],
        "into_mounts": source.into_mounts,
    }


def _of_directory(written: Written) -> tuple[bytes, bytes]:
    layer = LayerBlob(written.diff_id, written.size, written.diff_id)
    return one_layer.describe_image([layer], "directory", written.newest_ns)


def take_rootfs(source: Rootfs, writer: Writer, policy: Policy, progress: Progress) -> str:
    """See Source.obtain()."""
    blob = writer.path("layer.tar")
    progress.update("reading", text=source.path)
    path = source.path if source.handed is None else source.handed.archive(f"root file system {source.path}")
    _copy(writer, path, blob, policy)
    return one_layer.store_layer_image(writer, blob, _of_rootfs, policy, progress)


def refuse_no_tar(path: str) -> None:
    """Raises ImageError where a file is no tar or a cut one, KernelError where it cannot be read.

    Of a compressed one only the beginning is looked at: the rest is when it is unpacked.
    """
    try:
        with regular.opened(path) as archive:
            compression = compression_of(archive.read(16))
            if compression == "zstd":  # for that a program is run, which looking does not
                return
            archive.seek(0)
            stream = LayerStream(archive, Policy().limits.size)
            try:
                _read_through(stream, compression == "none")
                refuse_cut(stream)
            finally:
                stream.close()
    except ImageError as error:
        raise ImageError(f"this is no tar, plain or compressed, or a damaged one: {error}") from None
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error


def _read_through(stream: LayerStream, whole: bool) -> None:
    for entry in tarstream.entries(stream):
        if not whole:
            return
        tarstream.skip(stream, entry)


def _of_rootfs(layer: LayerBlob) -> tuple[bytes, bytes]:
    return one_layer.describe_image([layer], "rootfs", 0)


def _copy(writer: Writer, path: str, target: str, policy: Policy) -> None:
    """Into staging: as it is, or plain where its compression is none of a layer's."""
    try:
        with regular.opened(path) as archive, open(target, "xb") as out:
            compression = compression_of(archive.read(16))
            archive.seek(0)
            if compression not in ("xz", "bzip2"):
                shutil.copyfileobj(archive, out, 1 << 20)
                return
            stream = LayerStream(archive, policy.limits.size)
            try:
                while not stream.at_end():
                    out.write(stream.read_some(1 << 20))
            finally:
                stream.close()
    except KernelError:
        raise
    except OSError as error:
        if error.errno not in disk.FULL:
            raise KernelError.wrap(error, "read", path) from error
        wrapped = KernelError.wrap(error, "write", target)
        writer.explain(wrapped, f"more than {os.stat(path).st_size}")
        raise wrapped from error
