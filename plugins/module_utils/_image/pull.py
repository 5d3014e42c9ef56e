# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image on its way from a registry into the store: what is there already is not transported again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import config as configs
from . import digest as digests
from . import disk, transport
from . import reference as references
from .errors import ImageError, Unreachable
from .from_registry import Registry
from .incoming import COPY_OPTIONS, Incoming
from .manifest import layers_of
from .policy import Policy
from .progress import Progress
from .source import Seen
from .store import diff_ids_of, parse_document
from .transport import Skopeo
from .write import Writer

_BEFORE_RETRY = 1.0


def pull(source: Registry, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
    """See Source.obtain()."""
    manifest = seen.carried
    document = parse_document(manifest, "manifest")
    progress.update("asking", text=source.reference)
    incoming = Incoming(writer)
    incoming.offer([layer["digest"] for layer in document["layers"]])
    with copying(source, seen.key, incoming.blobs, incoming.target) as copy:
        config = _config(source, seen.key, document)
        layers = layers_of(document, diff_ids_of(configs.parse(config)))
        disk.check_room(writer.store.root, incoming.missing(layers), f"image {source.reference}")
        incoming.take(layers, policy, progress, copy.going)
    incoming.keep(layers)
    return writer.put_image(manifest, config)


@contextlib.contextmanager
def copying(source: Registry, digest: str, blobs: str, target: str) -> Iterator[Copying]:
    """Has skopeo bring the image with that manifest: what is not in the directory ``blobs`` appears there."""
    name, access = references.parse(source.reference), source.access
    with access.options("src-", name.domain) as (options, fds):
        command = [*access.global_options(), "copy", *options, *COPY_OPTIONS]
        command += [f"--dest-shared-blob-dir={blobs}", f"docker://{name.at(digest)}", target]
        process = Copying(command, source.reference, fds, access.retries)
        try:
            yield process
        finally:
            process.close()


def _config(source: Registry, digest: str, manifest: Mapping[str, Any]) -> bytes:
    name = references.parse(source.reference)
    wanted = manifest["config"]["digest"]
    config = transport.inspect(f"docker://{name.at(digest)}", source.access, name.domain, config=True)
    if digests.of_bytes(config) != wanted:
        raise ImageError(f"{source.reference}: the configuration's digest is not {wanted}")
    return config


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
