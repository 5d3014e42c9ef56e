# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image from an archive or layout on the host, or from another image of the store."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._kernel.errors import KernelError
from . import config as configs
from . import digest as digests
from . import disk, source
from .errors import ImageError
from .from_registry import COPY_OPTIONS, Incoming, check_manifest
from .handed import Handed
from .progress import Progress
from .source import Seen, Source
from .store import Store, diff_ids_of, parse_document
from .transport import Access, Skopeo
from .unpack import Policy, layers_of
from .write import Writer


@dataclass(frozen=True)
class Archive(Source):
    """What ``docker save``, ``podman save``, ``skopeo copy`` or ``buildah push`` wrote. ``reference`` picks one of
    several images in it, ``form`` is found out where it is ``auto``."""

    path: str = ""
    form: str = "auto"
    reference: str = ""
    access: Access = Access()
    #: What has been brought of an archive that is the controller's.
    handed: Handed | None = None
    kind = "archive"

    def describe(self) -> str:
        whose = " of the controller" if self.handed else ""
        return f"archive {self.path}{whose}" + (f" ({self.reference})" if self.reference else "")

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        """The key is the content's digest: of the archive, or of a layout's index and the names of its blobs."""
        if self.handed is not None:
            return self.handed.look(f"archive {self.path}", lambda digest: source.key_of(digest, self.reference))
        directory = os.path.isdir(self.path)
        stamp = source.stamp_of_tree(self.path) if directory else source.stamp_of_file(self.path)
        stamp = source.key_of(stamp, self.path, self.reference)
        if stamp == recorded.get("stamp"):
            return Seen(str(recorded["key"]), str(recorded.get("base", "")), stamp)
        listing = "index.json" if os.path.exists(self.path + "/oci-layout") else "manifest.json"
        content = f"{self.path}/{listing}" if directory else self.path
        try:
            return Seen(source.key_of(digests.of_file(content), self.reference), "", stamp)
        except OSError as error:
            raise KernelError.wrap(error, "read", content) from error

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        progress.update("reading", text=self.path)
        incoming = Incoming(writer)
        path = self.path if self.handed is None else self.handed.archive(f"archive {self.path}")
        form = self._form(path)
        if os.path.isfile(path):
            disk.check_room(writer.store.root, os.stat(path).st_size, f"archive {self.path}")
        name = f"{form}:{path}" + (f":{self.reference}" if self.reference else "")
        command = [*self.access.global_options(), "copy", *COPY_OPTIONS]
        copying = Skopeo([*command, f"--dest-shared-blob-dir={incoming.blobs}", name, incoming.target], self.path)
        try:
            copying.check()
        finally:
            copying.close()
        manifest = self._read(incoming, self._only_manifest(writer))
        document = parse_document(manifest, "manifest")
        check_manifest(document, self.path, len(manifest))
        config = self._read(incoming, digests.check(document["config"].get("digest"), "configuration"))
        if form in ("docker-archive", "dir"):
            manifest, config = self._as_it_was(name, document)
        layers = layers_of(document, diff_ids_of(configs.parse(config)))
        incoming.take(layers, policy, progress, lambda: False)
        incoming.keep(layers)
        return source.put_documents(writer, (manifest, config))

    def _as_it_was(self, name: str, document: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """skopeo makes an OCI configuration of Docker's, and what OCI has no word for (a health check) is lost."""
        inspecting = Skopeo([*self.access.global_options(), "inspect", "--config", "--raw", name], self.path)
        try:
            config = inspecting.output()
        finally:
            inspecting.close()
        descriptor = {**document["config"], "digest": digests.of_bytes(config), "size": len(config)}
        return digests.canonical({**document, "config": descriptor}), config

    def _form(self, path: str) -> str:
        if self.form != "auto":
            return self.form
        if os.path.isdir(path):
            return "oci" if os.path.exists(path + "/oci-layout") else "dir"
        try:
            with tarfile.open(path) as archive:
                names = {name.removeprefix("./") for name in archive.getnames()}
        except (tarfile.TarError, EOFError, OSError):
            raise ImageError(f"{self.path} is no archive of an image") from None
        if "manifest.json" in names:
            return "docker-archive"
        if "oci-layout" in names:
            return "oci-archive"
        raise ImageError(f"{self.path} holds no image", "Use rootfs for the tar of a root file system")

    @staticmethod
    def _only_manifest(writer: Writer) -> str:
        with open(writer.path("layout") + "/index.json", "rb") as handle:
            index = parse_document(handle.read(), "index")
        return digests.check(index["manifests"][0].get("digest"), "manifest")

    @staticmethod
    def _read(incoming: Incoming, digest: str) -> bytes:
        with open(incoming.path(digest), "rb") as handle:
            content = handle.read()
        if digests.of_bytes(content) != digest:
            raise ImageError(f"blob {digest} of the archive is damaged")
        return content


@dataclass(frozen=True)
class Other(Source):
    """Another image of the store: a further name for it."""

    name: str = ""
    kind = "image"

    def describe(self) -> str:
        return f"image {self.name}"

    def look(self, store: Store, recorded: Mapping[str, Any]) -> Seen:
        image = store.resolve(self.name)
        if image is None:
            raise ImageError(f"there is no image {self.name} on this host", "Make or pull it first")
        return Seen(image.digest, image.digest)

    def obtain(self, writer: Writer, seen: Seen, policy: Policy, progress: Progress) -> str:
        return seen.key
