# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image on its way from a registry into the store: what is there already is not transported again."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import ImageError, Unreachable
from ..format import config as configs
from ..format import digest as digests
from ..format import platforms
from ..format import reference as references
from ..format.manifest import layers_of
from ..format.shapes import parse_document
from ..layers.policy import Policy
from ..registry import transport
from ..registry.transport import Skopeo
from ..store import disk
from ..store.progress import Progress
from ..store.store import diff_ids_of
from ..store.write import Writer
from .from_registry import Registry
from .incoming import COPY_OPTIONS, Incoming
from .source import Seen

_BEFORE_RETRY = 1.0
_LOOK_EVERY = 0.2
#: Bytes that may come beside the layers: skopeo takes no manifest and no configuration of more than 4 MiB each. A layer
#: that does not stop is seen after that, as skopeo reads on until the disk is full and compares digests only then.
_BESIDE = 16 << 20


def pull(source: Registry, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
    """See Source.obtain()."""
    manifest = seen.carried
    document = parse_document(manifest, "manifest")
    progress.update("asking", text=source.reference)
    incoming = Incoming(writer)
    due = incoming.offer({layer["digest"]: layer["size"] for layer in document["layers"]})
    with copying(source, seen.key, incoming.blobs, incoming.layout, due) as copy:
        config = _config(source, seen.key, document, copy)
        parsed = configs.parse(config)
        platforms.check(parsed, source.platform, f"image {source.reference}")
        layers = layers_of(document, diff_ids_of(parsed))
        disk.check_room(writer.store.root, due, f"image {source.reference}")
        incoming.take(layers, policy, progress, copy)
    incoming.keep(layers)
    return writer.put_image(manifest, config)


@contextlib.contextmanager
def copying(source: Registry, digest: str, blobs: str, layout: str, due: int) -> Iterator[Copying]:
    """Has skopeo bring the image with that manifest: what is not in the directory ``blobs`` appears there, and is in
    ``layout`` until it is complete. skopeo's temporary files are beside that. Its layers have ``due`` bytes."""
    name, access = references.parse(source.reference), source.access
    with access.options("src-", name.domain) as (options, fds):
        command = [*access.global_options(), "copy", *options, *COPY_OPTIONS]
        command += [f"--dest-shared-blob-dir={blobs}", f"docker://{name.at(digest)}", f"oci:{layout}:image"]
        skopeo = functools.partial(Skopeo, command, source.reference, fds, os.path.dirname(layout))
        process = Copying(skopeo, source.reference, access.retries, (blobs, layout), due)
        try:
            yield process
        finally:
            process.close()


def _config(source: Registry, digest: str, manifest: Mapping[str, Any], copy: Copying) -> bytes:
    name = references.parse(source.reference)
    wanted = manifest["config"]["digest"]
    config = transport.inspect(f"docker://{name.at(digest)}", source.access, name.domain, True, copy.going)
    if digests.of_bytes(config) != wanted:
        raise ImageError(f"{source.reference}: the configuration's digest is not {wanted}")
    return config


class Copying:
    """A copy that is started again where it broke off, or nothing came any more; the blobs that have come by then stay.

    skopeo's own retries do not cover a connection that ends in the middle of a blob, and it waits without end.
    """

    def __init__(
        self, start: Callable[[], Skopeo], what: str, retries: int, directories: tuple[str, str], due: int
    ) -> None:
        """``directories`` are those in which it arrives: complete, and not yet. ``due`` bytes of layers are to come."""
        self.due = due
        self._start = start
        self._what, self._left, self._directories = what, retries, directories
        self._before = bytes_below(*directories)
        self._arrived, self._looked = 0, 0.0
        self._moved = time.monotonic()
        self._process = self._start()

    def going(self) -> bool:
        """Whether more may come. Raises Unreachable where it has failed for good, ImageError where too much comes."""
        try:
            if self._process.running:
                self._watch()
                return True
            self._process.check()
        except Unreachable as error:
            if error.missing or not self._left:
                raise
            self._left -= 1
            self._again()
            return True
        return False

    @property
    def arrived(self) -> int:
        """Bytes that have come, as of a moment ago."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            arrived = bytes_below(*self._directories) - self._before
            if arrived != self._arrived:
                self._arrived, self._moved = arrived, now
        return self._arrived

    def _watch(self) -> None:
        """Raises Unreachable where the registry has fallen silent, ImageError where it does not stop."""
        arrived = self.arrived
        if arrived > self.due + _BESIDE:
            raise ImageError(
                f"{self._what}: {arrived} bytes have come, and by its manifest its missing layers have {self.due}",
                "The registry, or a proxy before it, sends something else: see which",
            )
        if time.monotonic() - self._moved >= transport.SILENCE:
            raise transport.silent(self._what, f"nothing has come after {arrived >> 20} MB")

    def _again(self) -> None:
        self._process.close()
        shutil.rmtree(self._directories[1], ignore_errors=True)  # what will never be complete
        time.sleep(_BEFORE_RETRY)
        self._moved = time.monotonic()
        self._process = self._start()

    def close(self) -> None:
        self._process.close()


def bytes_below(*directories: str) -> int:
    total = 0
    for directory in directories:
        for base, _directories, names in os.walk(directory):
            for name in names:
                with contextlib.suppress(OSError):  # it is renamed at this moment
                    total += os.stat(f"{base}/{name}").st_size
    return total
