# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an archive or layout on the host holds becomes an image of the store."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from typing import Any

from . import config as configs
from . import digest as digests
from . import disk
from .errors import ImageError
from .from_archive import Archive
from .incoming import COPY_OPTIONS, Incoming
from .manifest import check_manifest, layers_of
from .policy import Policy
from .progress import Progress
from .store import diff_ids_of, parse_document
from .transport import Skopeo
from .write import Writer


def unarchive(source: Archive, writer: Writer, policy: Policy, progress: Progress) -> str:
    """See Source.obtain()."""
    progress.update("reading", text=source.path)
    incoming = Incoming(writer)
    path = source.path if source.handed is None else source.handed.archive(f"archive {source.path}")
    form = _form(source, path)
    if os.path.isfile(path):
        disk.check_room(writer.store.root, os.stat(path).st_size, f"archive {source.path}")
    name = f"{form}:{path}" + (f":{source.reference}" if source.reference else "")
    command = [*source.access.global_options(), "copy", *COPY_OPTIONS]
    copying = Skopeo([*command, f"--dest-shared-blob-dir={incoming.blobs}", name, incoming.target], source.path)
    try:
        copying.check()
    finally:
        copying.close()
    manifest = _read(incoming, _only_manifest(writer))
    document = parse_document(manifest, "manifest")
    check_manifest(document, source.path, len(manifest))
    config = _read(incoming, document["config"]["digest"])
    if form in ("docker-archive", "dir"):
        manifest, config = _as_it_was(source, name, document)
    layers = layers_of(document, diff_ids_of(configs.parse(config)))
    incoming.take(layers, policy, progress, lambda: False)
    incoming.keep(layers)
    return writer.put_image(manifest, config)


def _as_it_was(source: Archive, name: str, document: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """skopeo makes an OCI configuration of Docker's, and what OCI has no word for (a health check) is lost."""
    inspecting = Skopeo([*source.access.global_options(), "inspect", "--config", "--raw", name], source.path)
    try:
        config = inspecting.output()
    finally:
        inspecting.close()
    descriptor = {**document["config"], "digest": digests.of_bytes(config), "size": len(config)}
    return digests.canonical({**document, "config": descriptor}), config


def _form(source: Archive, path: str) -> str:
    if source.form != "auto":
        return source.form
    if os.path.isdir(path):
        return "oci" if os.path.exists(path + "/oci-layout") else "dir"
    try:
        with tarfile.open(path) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
    except (tarfile.TarError, EOFError, OSError):
        raise ImageError(f"{source.path} is no archive of an image") from None
    if "manifest.json" in names:
        return "docker-archive"
    if "oci-layout" in names:
        return "oci-archive"
    raise ImageError(f"{source.path} holds no image", "Use rootfs for the tar of a root file system")


def _only_manifest(writer: Writer) -> str:
    with open(writer.path("layout") + "/index.json", "rb") as handle:
        index = parse_document(handle.read(), "index")
    return digests.check(index["manifests"][0].get("digest"), "manifest")


def _read(incoming: Incoming, digest: str) -> bytes:
    with open(incoming.path(digest), "rb") as handle:
        content = handle.read()
    if digests.of_bytes(content) != digest:
        raise ImageError(f"blob {digest} of the archive is damaged")
    return content
