# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image from a directory, or from the tar of a root file system: one layer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._kernel.errors import KernelError
from . import digest as digests
from . import disk, source
from .config import LayerBlob
from .handed import Handed
from .progress import Progress
from .source import Seen, Source
from .store import Store
from .stream import LayerStream, compression_of
from .tarwriter import TarWriter, Written
from .unpack import Policy
from .write import Writer


@dataclass(frozen=True)
class Directory(Source):
    """A directory of the host, as it is: owners, modes, times, links and attributes are kept."""

    path: str = ""
    exclude: tuple[str, ...] = ()
    kind = "directory"

    def describe(self) -> str:
        return f"directory {self.path}"

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """The key is the layer's diff ID; where no inode changed it is the recorded one, unread."""
        stamp = source.key_of(source.stamp_of_tree(self.path), self.path, self.exclude)
        if stamp == recorded.get("stamp"):
            return Seen(str(recorded["key"]), str(recorded.get("base", "")), stamp)
        written = TarWriter(None, exclude=self._excluded()).write_tree(self.path)
        manifest, _config = self._documents(written)
        return Seen(written.diff_id, digests.of_bytes(manifest), stamp)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        progress.update("reading", text=self.path)
        blob = writer.path("layer.tar")
        written = source.write_tree(writer, self.path, blob, exclude=self._excluded())
        return source.store_layer_image(writer, blob, lambda _layer: self._documents(written), policy, progress)

    def _excluded(self) -> list[bytes]:
        return [path.encode("utf-8", "surrogateescape") for path in self.exclude]

    @staticmethod
    def _documents(written: Written) -> tuple[bytes, bytes]:
        layer = LayerBlob(written.diff_id, written.size, written.diff_id)
        return source.describe_image([layer], "directory", written.newest_ns)


@dataclass(frozen=True)
class Rootfs(Source):
    """A root file system's tar, plain or compressed by gzip, zstd, xz or bzip2.

    The archive becomes the layer as it is, so its digest is the layer's; xz and bzip2, which are no layer formats,
    are stored plain.
    """

    path: str = ""
    #: What has been brought of an archive that is the controller's.
    handed: Handed | None = None
    kind = "rootfs"

    def describe(self) -> str:
        return f"root file system {self.path}" + (" of the controller" if self.handed else "")

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        if self.handed is not None:
            return self.handed.look(f"root file system {self.path}")
        stamp = source.key_of(source.stamp_of_file(self.path), self.path)
        if stamp == recorded.get("stamp"):
            return Seen(str(recorded["key"]), str(recorded.get("base", "")), stamp)
        try:
            return Seen(digests.of_file(self.path), "", stamp)
        except OSError as error:
            raise KernelError.wrap(error, "read", self.path) from error

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        blob = writer.path("layer.tar")
        progress.update("reading", text=self.path)
        path = self.path if self.handed is None else self.handed.archive(f"root file system {self.path}")
        self._copy(writer, path, blob, policy)
        return source.store_layer_image(writer, blob, self._documents, policy, progress)

    @staticmethod
    def _documents(layer: LayerBlob) -> tuple[bytes, bytes]:
        return source.describe_image([layer], "rootfs", 0)

    @staticmethod
    def _copy(writer: Writer, path: str, target: str, policy: Policy) -> None:
        """Into staging: as it is, or plain where its compression is none of a layer's."""
        try:
            with open(path, "rb", buffering=0) as archive, open(target, "xb") as out:
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
