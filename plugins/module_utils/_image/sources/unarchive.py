# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an archive or layout on the host holds becomes an image of the store."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

from ..._kernel import regular
from ..._kernel.errors import KernelError
from ..errors import HostileLayer, ImageError, Unreachable
from ..format import config as configs
from ..format import digest as digests
from ..format import platforms
from ..format.manifest import check_manifest, layers_of
from ..format.shapes import parse_document
from ..layers.policy import Policy
from ..layers.stream import CHUNK, compression_of
from ..registry.transport import Skopeo
from ..store import disk
from ..store.progress import Progress
from ..store.store import diff_ids_of, reference_of
from ..store.write import Writer
from .from_archive import Archive
from .incoming import COPY_OPTIONS, Incoming

#: Bytes of what lists an archive's images, of which more are not honest.
_LISTING = 4 << 20


def unarchive(source: Archive, writer: Writer, policy: Policy, progress: Progress) -> str:
    """See Source.obtain()."""
    progress.update("reading", text=source.path)
    incoming = Incoming(writer)
    path = source.path if source.handed is None else source.handed.archive(f"archive {source.path}")
    if os.path.isfile(path) and _compression(path) == "gzip":
        path = _unzipped(source, path, writer, policy)
    form = _form(source, path)
    if os.path.isfile(path):
        # skopeo unpacks an oci-archive as a whole before it copies the blobs.
        copies = 2 if form == "oci-archive" else 1
        disk.check_room(writer.store.root, copies * os.stat(path).st_size, f"archive {source.path}")
    name = f"{form}:{path}" + (f":{source.reference}" if source.reference else "")
    command = [*source.access.global_options(), "copy", *COPY_OPTIONS, f"--dest-shared-blob-dir={incoming.blobs}"]
    copying = Skopeo([*command, name, incoming.target], source.path, temporary=writer.staging)
    try:
        copying.check()
    except Unreachable as error:
        _refuse_digests(source, form, path)
        raise _with_names(error, source, form, path) from None
    finally:
        copying.close()
    manifest = _read(incoming, _only_manifest(writer))
    document = parse_document(manifest, "manifest")
    check_manifest(document, source.path, len(manifest))
    config = _read(incoming, document["config"]["digest"])
    if form in ("docker-archive", "dir"):
        manifest, config = _as_it_was(source, name, document, writer.staging)
    parsed = configs.parse(config)
    platforms.check_system(parsed, f"archive {source.path}")
    layers = layers_of(document, diff_ids_of(parsed))
    incoming.take(layers, policy, progress)
    incoming.keep(layers)
    return writer.put_image(manifest, config)


def _compression(path: str) -> str:
    with regular.opened(path) as start:
        return compression_of(start.read(8))


def _unzipped(source: Archive, path: str, writer: Writer, policy: Policy) -> str:
    """The same archive as a plain file in staging. skopeo takes some compressions, but of a docker-archive not gzip's
    (1.9, "invalid tar header"), which `docker save | gzip` is.

    Raises HostileLayer where it does not end, ImageError where it is damaged, KernelError where the disk is full.
    """
    plain, size = writer.path("archive"), 0
    try:
        with regular.opened(path) as raw, gzip.open(raw) as packed, open(plain, "xb") as out:
            while piece := _piece(packed, source):
                size += len(piece)
                if size > policy.limits.size:
                    raise HostileLayer(f"archive {source.path} unpacks to more than {policy.limits.size} bytes")
                out.write(piece)
    except OSError as error:
        raise KernelError.wrap(error, "write", plain) from error
    return plain


def _piece(packed: gzip.GzipFile, source: Archive) -> bytes:
    try:
        return packed.read(CHUNK)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageError(f"{source.path} is no archive of an image: its gzip data are damaged ({error})") from error


def _refuse_digests(source: Archive, form: str, path: str) -> None:
    """Raises ImageError that names a digest which skopeo cannot do with: its own words are "Internal error"."""
    if form not in ("oci", "oci-archive"):
        return
    layers: list[Any] = []
    with contextlib.suppress(ImageError, OSError, ValueError, KeyError, TypeError, AttributeError, tarfile.TarError):
        for entry in json.loads(_listing(form, path, "index.json"))["manifests"]:
            name = digests.check_form(entry["digest"], "manifest").replace(":", "/")
            manifest = json.loads(_listing(form, path, f"blobs/{name}"))
            layers += [layer["digest"] for layer in manifest["layers"]]
    for digest in layers:
        digests.check(digest, f"a layer of {source.path}")


def _with_names(error: Unreachable, source: Archive, form: str, path: str) -> ImageError:
    """The error, and what there is to choose from where skopeo did not know which image is meant."""
    names = _names(form, path)
    if source.reference in names or len(names) < (1 if source.reference else 2):
        return error
    return ImageError(str(error), f"Set archive.reference to one of {', '.join(names)}")


def _names(form: str, path: str) -> list[str]:
    """The names of the images in it; empty where there are none, or it cannot be read."""
    listing = "manifest.json" if form == "docker-archive" else "index.json"
    try:
        content = json.loads(_listing(form, path, listing))
        if form == "docker-archive":
            return sorted(tag for entry in content for tag in entry.get("RepoTags") or ())
        return sorted(filter(None, map(reference_of, content["manifests"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, tarfile.TarError):
        return []


def _listing(form: str, path: str, name: str) -> bytes:
    if os.path.isdir(path):
        with regular.opened(f"{path}/{name}") as listing:
            return listing.read(_LISTING)
    with regular.opened(path) as raw, tarfile.open(fileobj=raw) as archive:
        for member in archive:
            if member.name.removeprefix("./") == name and (content := archive.extractfile(member)):
                return content.read(_LISTING)
    return b""


def _as_it_was(source: Archive, name: str, document: Mapping[str, Any], temporary: str) -> tuple[bytes, bytes]:
    """skopeo makes an OCI configuration of Docker's, and what OCI has no word for (a health check) is lost."""
    command = [*source.access.global_options(), "inspect", "--config", "--raw", name]
    inspecting = Skopeo(command, source.path, temporary=temporary)
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
        with regular.opened(path) as raw, tarfile.open(fileobj=raw) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
    except (tarfile.TarError, EOFError, OSError):
        if _compression(path) == "zstd":  # Python unpacks the others
            raise ImageError(f"{source.path} is compressed with zstd", "Say in archive.format what it holds") from None
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
