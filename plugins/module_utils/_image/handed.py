# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller hands over: an archive of its own, or an image of a registry that it or another host has pulled.

The action plugin first runs the module with nothing in hand. Where the source has to be looked at, the module fails
with Wanted, having changed nothing; the action plugin then brings what the host lacks and runs it again.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._kernel.errors import KernelError
from . import config as configs
from . import digest as digests
from . import disk, source
from .errors import ImageError
from .from_registry import Incoming, check_manifest
from .progress import Progress
from .source import Seen, Source
from .store import Store, diff_ids_of, parse_document
from .unpack import Policy, layers_of
from .write import Writer


class Wanted(ImageError):
    """The source is not in this host's hands, and it is needed."""


@dataclass(frozen=True)
class Handed:
    """``digest`` is of what is offered (an archive or a manifest); ``path`` is where it, or the directory with its
    blobs, lies on this host, and is empty where the host needs nothing of it."""

    digest: str = ""
    path: str = ""

    def look(self, what: str, key: Callable[[str], str] = str) -> Seen:
        """Raises Wanted."""
        if not self.digest:
            raise Wanted(f"{what} has to be handed over to this host", "The action plugin of oci_image does that")
        return Seen(key(self.digest), "")

    def place(self, what: str) -> str:
        """Raises ImageError where nothing was brought."""
        if not self.path:
            raise ImageError(f"{what} was not handed over, as the host seemed to have it", "Run the task again")
        return self.path

    def archive(self, what: str) -> str:
        """Where the archive lies, which is still the one that was offered. Raises ImageError, KernelError."""
        path = self.place(what)
        try:
            arrived = digests.of_file(path)
        except OSError as error:
            raise KernelError.wrap(error, "read", path) from error
        if arrived != self.digest:
            raise ImageError(f"{what} was damaged on its way: it has the digest {arrived}, not {self.digest}")
        return path


@dataclass(frozen=True)
class Seeded(Source):
    """An image of a registry by way of ``seed``, which has asked and pulled: this host needs neither network nor
    skopeo for it. Recorded as if it had been pulled here."""

    reference: str = ""
    seed: str = ""
    handed: Handed = Handed()
    forbidden: bool = False
    kind = "registry"

    def describe(self) -> str:
        return f"docker://{self.reference} by way of {self.seed}"

    def look(self, store: Store, recorded: Any) -> Seen:
        if self.forbidden:
            raise ImageError(f"{self.reference} is not on this host, and pull is never", "Pull it, or load it")
        seen = self.handed.look(f"image {self.reference}")
        return Seen(seen.key, seen.key)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        progress.update("reading", text=self.reference)
        arrived = Arrived(writer, self.handed.place(f"image {self.reference}"))
        manifest = arrived.read(seen.key)
        document = parse_document(manifest, "manifest")
        check_manifest(document, self.reference, len(manifest))
        config = arrived.read(digests.check(document["config"].get("digest"), "configuration"))
        layers = layers_of(document, diff_ids_of(configs.parse(config)))
        incoming = Incoming(writer)
        incoming.offer([layer.digest for layer in layers])
        disk.check_room(writer.store.root, incoming.missing(layers), f"image {self.reference}")
        for layer in layers:
            arrived.take(layer.digest, incoming.path(layer.digest))
        incoming.take(layers, policy, progress, lambda: False)
        incoming.keep(layers)
        return source.put_documents(writer, (manifest, config))


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
        algorithm, _colon, digits = digests.check(digest).partition(":")
        hasher = hashlib.new(algorithm)
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
        if hasher.hexdigest() != digits:
            raise ImageError(f"blob {digest} was damaged on its way", "Run the task again")


def file_name(digest: str) -> str:
    """A blob's name outside a store; not every way of copying files takes a colon."""
    return digests.check(digest).replace(":", "-")


def wanted(store: Store, key: str, rotten: tuple[str, ...]) -> dict[str, Any]:
    """What the action plugin needs to know of this host: the key of the image as it is, the blobs there are, and for
    which platform it takes images."""
    directory = f"{store.root}/blobs/sha256"
    names = os.listdir(directory) if os.path.isdir(directory) else []
    blobs = sorted(digest for digest in (f"sha256:{name}" for name in names) if digests.is_digest(digest))
    platform = "/".join(filter(None, ("linux", *configs.host_platform())))
    return {"key": key, "blobs": [digest for digest in blobs if digest not in rotten], "platform": platform}
