# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images out of the store: to a registry, or into an archive."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._kernel import shared_directory
from ..._kernel.errors import KernelError
from ..errors import Unreachable
from ..format import config as configs
from ..format import digest as digests
from ..format import reference as references
from ..format.media_types import DOCKER_MANIFEST, OCI_MANIFEST
from ..format.shapes import parse_document
from ..registry import transport
from ..registry.access import Access
from ..registry.transport import Skopeo
from ..sources.handed import file_name
from ..store import saved
from ..store.store import REF_NAME, Image, Store
from ..store.write import Writer


def registry_has(image: Image, destination: str, access: Access) -> bool:
    """Whether the registry has this image under that name: asks for its manifest.

    A registry may hold the layers compressed, so what is compared is the configuration, which names every layer's
    diff ID. Raises Unreachable where the registry cannot be asked.
    """
    name = references.parse(destination)
    try:
        content = transport.inspect(f"docker://{name}", access, name.domain)
    except Unreachable as error:
        if error.missing:
            return False
        raise
    config = parse_document(content, "manifest").get("config")
    return isinstance(config, Mapping) and config.get("digest") == image.manifest["config"]["digest"]


def push(store: Store, image: Image, destination: str, access: Access, kernel: Any) -> None:
    """To a registry; only the layers that it lacks are transported. Raises Unreachable."""
    name = references.parse(destination)
    with Writer(store, kernel) as writer, access.options("dest-", name.domain) as (options, fds):
        # The registry's copy keeps the format, so that its configuration and, where it can, its manifest are the same.
        docker = image.manifest.get("mediaType") == DOCKER_MANIFEST
        source = f"dir:{_directory(writer, image)}" if docker else f"oci:{_layout(writer, image)}:image"
        command = [*access.global_options(), "copy", "--quiet", "--remove-signatures", *options]
        _finish(Skopeo([*command, source, f"docker://{name}"], f"push to {destination}", fds, writer.staging))


def save(store: Store, image: Image, path: str, form: str, kernel: Any) -> None:
    """Into an archive (oci-archive, docker-archive) or layout (oci), visible once it is whole.

    What is there was found to be such a thing (saved.look): it is replaced in one step. skopeo writes where only root
    does, as it would follow what another user plants beside the path.
    """
    with Writer(store, kernel) as writer:
        layout = _layout(writer, image)
        made = writer.path("saved")
        target = ":".join(filter(None, (form, made, saved.name_in(image, form))))
        command = ["copy", "--quiet", "--remove-signatures", f"oci:{layout}:image", target]
        _finish(Skopeo(command, f"save to {path}", temporary=writer.staging))
        kernel.files.remove_tree(saved.half_made_path(path))
        kernel.shared_directory.put(made, path)


def _finish(process: Skopeo) -> None:
    try:
        process.check()
    finally:
        process.close()


def _layout(writer: Writer, image: Image) -> str:
    """An OCI layout with this one image, whose blobs are the store's; returns its path.

    A Docker manifest, which nobody reads in there, is written with OCI's media types. skopeo would also write another
    configuration, whose digest nothing could be compared with the next time.
    """
    path = writer.path("layout")
    translated = configs.as_oci(image.manifest)
    same = translated == image.manifest
    manifest = writer.store.read_blob(image.digest) if same else digests.canonical(translated)
    digest = digests.of_bytes(manifest)
    _link_blobs(writer, image, lambda blob: f"{path}/blobs/{blob.replace(':', '/')}")
    _write(f"{path}/blobs/{digest.replace(':', '/')}", manifest)
    descriptor = {
        "mediaType": OCI_MANIFEST,
        "digest": digest,
        "size": len(manifest),
        "annotations": {REF_NAME: "image"},
    }
    _write(path + "/index.json", digests.canonical({"schemaVersion": 2, "manifests": [descriptor]}))
    _write(path + "/oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    return path


def _directory(writer: Writer, image: Image) -> str:
    """This one image as skopeo's transport dir has it (containers-transports(5)), which takes any manifest as it is."""
    path = writer.path("directory")
    _link_blobs(writer, image, lambda blob: f"{path}/{blob.partition(':')[2]}")
    _write(path + "/manifest.json", writer.store.read_blob(image.digest))
    _write(path + "/version", b"Directory Transport Version: 1.1\n")
    return path


def _link_blobs(writer: Writer, image: Image, place: Callable[[str], str]) -> None:
    """Hard links of the configuration and the layers: they cost nothing and go with staging. Raises KernelError."""
    for digest in {str(blob["digest"]) for blob in (image.manifest["config"], *image.manifest["layers"])}:
        source, target = writer.store.blob_path(digest), place(digest)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.link(source, target)
        except OSError as error:
            raise KernelError.wrap(error, "link", source) from error


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as handle:
        handle.write(content)


@dataclass(frozen=True)
class Blob:
    """A blob by digest, and its bytes."""

    digest: str
    size: int


def blobs_of(store: Store, image: Image) -> tuple[Blob, ...]:
    """What an image consists of as its source gave it: the manifest first, the configuration, the layers.

    Raises ImageError.
    """
    base = store.image(str(image.source.get("base") or image.digest))
    config = base.manifest["config"]
    size = os.stat(store.blob_path(base.digest)).st_size
    layers = {str(layer["digest"]): int(layer["size"]) for layer in base.manifest["layers"]}
    return (
        Blob(base.digest, size),
        Blob(str(config["digest"]), int(config["size"])),
        *(Blob(digest, size) for digest, size in layers.items()),
    )


def hand_out(store: Store, blobs: Iterable[str], path: str) -> None:
    """Into a directory, by hard links where that can be. Raises KernelError."""
    for digest in blobs:
        source, target = store.blob_path(digest), f"{path}/{file_name(digest)}"
        try:
            directory = shared_directory.open_directory(path)
            try:
                _hand_out(source, directory, file_name(digest).encode())
            finally:
                os.close(directory)
        except KernelError:
            raise
        except OSError as error:
            raise KernelError.wrap(error, "link", target) from error


def _hand_out(source: str, directory: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    try:
        os.link(source, name, dst_dir_fd=directory)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shared_directory.copy_file(os.fsencode(source), directory, name)
