# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image can be made from: the one shape that all sources have."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .._kernel.errors import KernelError
from . import config as configs
from . import digest as digests
from . import disk, lower
from .config import LayerBlob
from .errors import ImageError
from .progress import Progress
from .store import OCI_LAYER, Store
from .tarwriter import TarWriter, Written
from .unpack import Policy, check_policy, unpack_blob
from .write import Writer

MEDIA_TYPES = {"none": OCI_LAYER, "gzip": OCI_LAYER + "+gzip", "zstd": OCI_LAYER + "+zstd"}


@dataclass(frozen=True)
class Seen:
    """A source as it is now.

    ``key`` stands for everything that goes into the image: as long as it is the same the image need not be made
    again. ``digest`` is that of the image it would give, where that can be told without making it, and ``stamp``
    lets the next look be a quick one. ``carried`` is what obtain() need not fetch again.
    """

    key: str
    digest: str = ""
    stamp: str = ""
    warning: str = ""
    carried: bytes = b""


@dataclass(frozen=True)
class Source:
    """A way to come by an image. Frozen: planners compare them."""

    kind = ""

    def describe(self) -> str:
        """What the image is made from, as a sentence's end: ``directory /srv/root``."""
        raise NotImplementedError

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """Look without changing anything; ``recorded`` is what was written down when it was last used ({} if never).

        Raises ImageError, KernelError.
        """
        raise NotImplementedError

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        """Bring the image that was seen into the store, unpacked. Returns its manifest's digest.

        Raises ImageError, KernelError.
        """
        raise NotImplementedError


def key_of(*parts: Any) -> str:
    """A key made of plain data."""
    return digests.of_bytes(digests.canonical(parts))


def stamp_of_file(path: str) -> str:
    """Changes whenever the file does: its ctime cannot be set back. Raises ImageError where there is no file."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise KernelError.wrap(error, "stat", path) from error
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def stamp_of_tree(path: str) -> str:
    """One digest over the inode, size, times, mode and owner of everything below a directory. Raises KernelError.

    Every change of a file's content, attributes or name moves a ctime, so an equal stamp is an equal tree.
    """
    hasher = hashlib.sha256()

    def refuse(error: OSError) -> None:
        raise KernelError.wrap(error, "open", error.filename or path) from error

    if not os.path.isdir(path):
        raise KernelError(20 if os.path.exists(path) else 2, "open", path)
    for directory, names, others, fd in os.fwalk(os.fsencode(path), onerror=refuse):
        names.sort()
        for name in [b".", *names, *sorted(others)]:
            s = os.stat(name, dir_fd=fd, follow_symlinks=False)
            facts = (s.st_dev, s.st_ino, s.st_mode, s.st_uid, s.st_gid, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
            hasher.update(b"%s/%s\0%s\n" % (directory, name, repr(facts).encode()))
    return "sha256:" + hasher.hexdigest()


def write_tree(writer: Writer, tree: str, target: str, **options: Any) -> Written:
    """A directory as a tar file in staging. Raises KernelError, ImageError."""
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
    layer = LayerBlob(record["blob"], record["blob_size"], record["diff_id"], MEDIA_TYPES[record["compression"]])
    check_policy(layer.digest, record, policy)
    writer.sync()
    writer.take_layer(home, layer.diff_id, record)
    writer.take_blob(blob, layer.digest)
    return put_documents(writer, documents(layer))


def put_documents(writer: Writer, documents: tuple[bytes, bytes]) -> str:
    """Configuration first: a manifest in the store has all it points at."""
    manifest, config = documents
    writer.put_blob(config)
    return writer.put_blob(manifest)


def need_program(name: str, package: str) -> None:
    """Raises ImageError that names the package."""
    import shutil

    if shutil.which(name) is None:
        raise ImageError(f"{name} is not installed on this host", f"Install package {package} (role host does)")
