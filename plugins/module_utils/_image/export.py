# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images out of the store: to a registry, or into an archive."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._kernel.errors import KernelError
from . import reference as references
from . import saved, transport
from .access import Access
from .errors import Unreachable
from .handed import file_name
from .store import DOCKER_MANIFEST, REF_NAME, Image, Store, parse_document
from .transport import Skopeo
from .write import Writer


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
        layout = _layout(writer, image)
        command = [*access.global_options(), "copy", "--quiet", "--remove-signatures", *options]
        # The registry's copy keeps the format, so that its configuration has the same digest.
        command += ["--format", "v2s2"] if image.manifest.get("mediaType") == DOCKER_MANIFEST else []
        command += [f"--src-shared-blob-dir={store.root}/blobs", f"oci:{layout}:image", f"docker://{name}"]
        _finish(Skopeo(command, f"push to {destination}", fds))


def save(store: Store, image: Image, path: str, form: str, kernel: Any) -> None:
    """Into an archive (oci-archive, docker-archive) or layout (oci), visible once it is whole.

    What is there was found to be such a thing (saved.look): it is replaced in one step.
    """
    made = saved.half_made_path(path)
    with Writer(store, kernel) as writer:
        layout = _layout(writer, image)
        kernel.files.remove_tree(made)
        target = f"{form}:{made}:{saved.name_in(image)}"
        command = ["copy", "--quiet", "--remove-signatures", f"--src-shared-blob-dir={store.root}/blobs"]
        try:
            _finish(Skopeo([*command, f"oci:{layout}:image", target], f"save to {path}"))
            kernel.files.sync_file_system(os.path.dirname(path))
            if os.path.isdir(path):
                kernel.files.exchange(made, path)
            else:
                kernel.files.rename(made, path)
        finally:
            kernel.files.remove_tree(made)


def _finish(process: Skopeo) -> None:
    try:
        process.check()
    finally:
        process.close()


def _layout(writer: Writer, image: Image) -> str:
    """A layout with this one image, whose blobs are the store's."""
    path = writer.path("layout")
    os.makedirs(path + "/blobs")
    size = os.stat(writer.store.blob_path(image.digest)).st_size
    descriptor = {
        "mediaType": image.manifest.get("mediaType", "application/vnd.oci.image.manifest.v1+json"),
        "digest": image.digest,
        "size": size,
        "annotations": {REF_NAME: "image"},
    }
    with open(path + "/oci-layout", "w") as handle:
        handle.write('{"imageLayoutVersion": "1.0.0"}')
    with open(path + "/index.json", "w") as handle:
        json.dump({"schemaVersion": 2, "manifests": [descriptor]}, handle)
    return path


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
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            try:
                os.link(source, target)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                    raise
                shutil.copyfile(source, target)
                os.chmod(target, 0o644)
        except OSError as error:
            raise KernelError.wrap(error, "link", target) from error
