# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller has laid into a directory of this host becomes an image of the store."""

from __future__ import annotations

import errno
import hashlib
import os

from ..._kernel.errors import KernelError
from ..errors import ImageError
from ..format import config as configs
from ..format import platforms
from ..format.manifest import check_manifest, layers_of
from ..format.shapes import parse_document
from ..layers.policy import Policy
from ..store import disk
from ..store.progress import Progress
from ..store.store import diff_ids_of
from ..store.write import Writer
from .handed import Seeded, file_name
from .incoming import Incoming
from .source import Seen


def take_in(source: Seeded, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
    """See Source.obtain()."""
    progress.update("reading", text=source.reference)
    arrived = Arrived(writer, source.handed.place(f"image {source.reference}"))
    manifest = arrived.read(seen.key)
    document = parse_document(manifest, "manifest")
    check_manifest(document, source.reference, len(manifest))
    config = arrived.read(document["config"]["digest"])
    parsed = configs.parse(config)
    platforms.check(parsed, source.platform, f"image {source.reference}")
    layers = layers_of(document, diff_ids_of(parsed))
    incoming = Incoming(writer)
    due = incoming.offer({layer.digest: layer.size for layer in layers})
    disk.check_room(writer.store.root, due, f"image {source.reference}")
    for layer in layers:
        arrived.take(layer.digest, incoming.path(layer.digest))
    incoming.take(layers, policy, progress)
    incoming.keep(layers)
    return writer.put_image(manifest, config)


class Arrived:
    """Blobs in a directory that the login user owns, each named after its digest. Nothing of it is trusted."""

    def __init__(self, writer: Writer, path: str) -> None:
        self._writer = writer
        self._path = path

    def read(self, digest: str) -> bytes:
        """A small blob, from the store where that has it. Raises ImageError, KernelError."""
        if self._writer.store.has_blob(digest):
            return self._writer.store.read_blob(digest)
        copy = self._writer.path("document")
        self.take(digest, copy)
        with open(copy, "rb") as handle:
            content = handle.read()
        self._writer.kernel.files.remove_file(copy)
        return content

    def take(self, digest: str, target: str) -> None:
        """Into staging, hashed on the way; nothing where it is there already. Raises ImageError, KernelError."""
        if os.path.exists(target):
            return
        path = f"{self._path}/{file_name(digest)}"
        hasher = hashlib.sha256()
        try:
            # A link planted there must not have us read, or a pipe wait for, something else.
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb", buffering=0) as blob, open(target, "xb") as out:
                while chunk := blob.read(1 << 20):
                    hasher.update(chunk)
                    out.write(chunk)
        except OSError as error:
            if error.errno == errno.ENOENT and not os.path.lexists(path):
                raise ImageError(f"blob {digest} was not handed over", "Run the task again") from None
            raise KernelError.wrap(error, "copy", path) from error
        if "sha256:" + hasher.hexdigest() != digest:
            raise ImageError(f"blob {digest} was damaged on its way", "Run the task again")
