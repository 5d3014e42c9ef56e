# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies where an image is to be saved. Only what is plainly a saved image may be replaced."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from ..._kernel import locations, regular, shared_directory
from ..._kernel.errors import KernelError
from ..errors import ImageError
from ..format import digest as digests
from ..format import reference as references
from ..format.manifest import layers_of
from ..format.shapes import parse_document
from .saved_content import Blob, Opener, blob_name, holds_layers, is_there
from .store import REF_NAME, Image

#: What an OCI image layout consists of, image-layout.md.
_LAYOUT = {"oci-layout", "index.json", "blobs"}
_LISTED = 5


@dataclass(frozen=True)
class Saved:
    """What is where an image is to be saved; all is empty where nothing is.

    ``holds``: it is that image, in that form and under its name, and its content is what the image consists of.
    ``obstacle`` says what else is there, which must not be replaced. ``half_made`` is what an interrupted run left
    beside it.
    """

    holds: bool = False
    obstacle: str = ""
    half_made: str = ""


@dataclass(frozen=True)
class _Found:
    """An archive or layout with one image: its form, the digest of its configuration, its name, and its layers, the
    bottommost first. ``truthful``: the documents in it have the digests that they are found by."""

    form: str
    config: str
    name: str
    layers: tuple[Blob, ...]
    truthful: bool = True


def half_made_path(path: str) -> str:
    """Where it is written until it is whole."""
    return f"{os.path.dirname(path)}/{locations.HALF_MADE}{os.path.basename(path)}"


def name_in(image: Image, form: str) -> str:
    """The name that an image bears in what it is saved into; a Docker archive knows tags alone, and none is none."""
    if not image.reference:
        return "image:latest"
    name = references.parse(image.reference)
    return "" if name.digest and form == "docker-archive" else name.familiar


def look(path: str, form: str, image: Image) -> Saved:
    """What is at ``path``, where that image is to be saved in that form; the content of its layers is read.

    Raises KernelError where it cannot be read.
    """
    temporary = half_made_path(path)
    half = temporary if _is_roots(temporary) else ""

    def holds(found: _Found, opened: Opener) -> bool:
        config, name = image.manifest["config"]["digest"], _in_full(name_in(image, form))
        same = (found.form, found.config, found.name) == (form, config, name)
        return same and found.truthful and holds_layers(found.layers, opened, layers_of(image.manifest, image.diff_ids))

    try:
        os.close(shared_directory.open_directory(os.path.dirname(path)))
        return Saved(_look(path, form, holds), half_made=half)
    except _Obstacle as obstacle:
        return Saved(obstacle=str(obstacle), half_made=half)
    except KernelError as error:
        if error.errno != errno.ELOOP:
            raise
        return Saved(obstacle=error.hint.partition(":")[0], half_made=half)
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error


def _is_roots(path: str) -> bool:
    """Whether something of root's bears the name: what another user put there is none of ours."""
    try:
        return os.lstat(path).st_uid == 0
    except OSError:
        return False


class _Obstacle(Exception):
    """What is there instead of a saved image."""


#: Judges what was found while it is open.
_Judge = Callable[[_Found, Opener], bool]


def _look(path: str, form: str, judge: _Judge) -> bool:
    """Whether it is the image. Raises _Obstacle, OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(status.st_mode):
        return _directory(path, form, judge)
    if not stat.S_ISREG(status.st_mode):
        raise _Obstacle("something that is neither a file nor a directory is there")
    if form == "oci":
        raise _Obstacle("a file is there, and the format oci is a directory")
    return status.st_size > 0 and _archive(path, judge)


def _directory(path: str, form: str, judge: _Judge) -> bool:
    names = sorted(os.listdir(path))
    if form != "oci":
        raise _Obstacle(f"a directory is there, and the format {form} is a file")
    if not names:
        return False
    if not set(names) <= _LAYOUT or "index.json" not in names:
        more = ", ..." if len(names) > _LISTED else ""
        raise _Obstacle(f"a directory is there that is no layout of an image ({', '.join(names[:_LISTED])}{more})")

    def opened(name: str) -> BinaryIO:
        return regular.opened(f"{path}/{name}")

    return judge(_of_layout("oci", opened), opened)


def _archive(path: str, judge: _Judge) -> bool:
    try:
        with regular.opened(path) as raw, tarfile.open(fileobj=raw) as archive:
            members = {member.name.removeprefix("./"): member for member in archive}

            def opened(name: str) -> BinaryIO:
                content = archive.extractfile(members[name])
                if content is None:
                    raise KeyError(name)
                return cast("BinaryIO", content)

            found = _of_docker(opened) if "manifest.json" in members else _of_layout("oci-archive", opened)
            return judge(found, opened)
    except (tarfile.TarError, EOFError, zlib.error, OSError):
        raise _Obstacle("a file is there that is no archive of an image") from None


def _of_layout(form: str, opened: Opener) -> _Found:
    """Of an OCI layout, whatever it lies in."""
    try:
        index = parse_document(_read(opened, "index.json"), "index")
        [descriptor] = index["manifests"]
        digest = digests.check(descriptor["digest"])
        content = _read(opened, blob_name(digest))
        manifest = parse_document(content, "manifest")
        name = (descriptor.get("annotations") or {}).get(REF_NAME)
        config = digests.check(manifest["config"]["digest"])
        layers = tuple(
            Blob(blob_name(digests.check(layer["digest"])), layer["digest"], layer["size"])
            for layer in manifest["layers"]
        )
    except (ImageError, KeyError, TypeError, ValueError, AttributeError, FileNotFoundError):
        raise _Obstacle("something is there that is no archive or layout with one image") from None
    truthful = digests.of_bytes(content) == digest and is_there(opened, blob_name(config), config)
    return _Found(form, config, _in_full(name), layers, truthful)


def _of_docker(opened: Opener) -> _Found:
    """Of what docker save writes; there a layer has a name of its own, and no digest."""
    try:
        [listed] = _list(_read(opened, "manifest.json"))
        [name] = listed.get("RepoTags") or [None]
        layers = tuple(Blob(str(layer)) for layer in listed["Layers"])
        config = digests.of_bytes(_read(opened, listed["Config"]))
    except (ImageError, KeyError, TypeError, ValueError, AttributeError):
        raise _Obstacle("an archive is there that does not hold one image under one name") from None
    return _Found("docker-archive", config, _in_full(name), layers)


def _read(opened: Opener, name: str) -> bytes:
    with opened(name) as handle:
        return handle.read()


def _list(content: bytes) -> list[Mapping[str, Any]]:
    return list(parse_document(b'{"images": %s}' % content, "manifest")["images"])


def _in_full(name: Any) -> str:
    """As two spellings of a name compare."""
    try:
        return str(references.parse(name)) if isinstance(name, str) and name else ""
    except ImageError:
        return str(name)
