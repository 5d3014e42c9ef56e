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
from typing import Any

from ..._kernel import locations, regular, shared_directory
from ..._kernel.errors import KernelError
from ..errors import ImageError
from ..format import digest as digests
from ..format import reference as references
from ..format.shapes import parse_document
from .store import REF_NAME, Image

#: What an OCI image layout consists of, image-layout.md.
_LAYOUT = {"oci-layout", "index.json", "blobs"}
_LISTED = 5


@dataclass(frozen=True)
class Saved:
    """The form of an archive or layout with one image, the digest of the image's configuration, and its name.

    ``obstacle`` says what else is there, which must not be replaced; all are empty where nothing is. ``half_made``
    is what an interrupted run left beside it.
    """

    form: str = ""
    config: str = ""
    name: str = ""
    obstacle: str = ""
    half_made: str = ""


def half_made_path(path: str) -> str:
    """Where it is written until it is whole."""
    return f"{os.path.dirname(path)}/{locations.HALF_MADE}{os.path.basename(path)}"


def name_in(image: Image, form: str) -> str:
    """The name that an image bears in what it is saved into; a Docker archive knows tags alone, and none is none."""
    if not image.reference:
        return "image:latest"
    name = references.parse(image.reference)
    return "" if name.digest and form == "docker-archive" else name.familiar


def holds(saved: Saved, image: Image, form: str) -> bool:
    """Whether it is this image, saved in that form and under its name."""
    config = image.manifest["config"]["digest"]
    return (saved.form, saved.config, saved.name) == (form, config, _in_full(name_in(image, form)))


def look(path: str, form: str) -> Saved:
    """What is at ``path``, where something of that form is to be. Raises KernelError where it cannot be read."""
    temporary = half_made_path(path)
    half = temporary if _is_roots(temporary) else ""
    try:
        os.close(shared_directory.open_directory(os.path.dirname(path)))
        form_there, config, name = _look(path, form)
    except _Obstacle as obstacle:
        return Saved(obstacle=str(obstacle), half_made=half)
    except KernelError as error:
        if error.errno != errno.ELOOP:
            raise
        return Saved(obstacle=error.hint.partition(":")[0], half_made=half)
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error
    return Saved(form_there, config, name, half_made=half)


def _is_roots(path: str) -> bool:
    """Whether something of root's bears the name: what another user put there is none of ours."""
    try:
        return os.lstat(path).st_uid == 0
    except OSError:
        return False


class _Obstacle(Exception):
    """What is there instead of a saved image."""


def _look(path: str, form: str) -> tuple[str, str, str]:
    """Form, configuration and name. Raises _Obstacle, OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return "", "", ""
    if stat.S_ISDIR(status.st_mode):
        return _directory(path, form)
    if not stat.S_ISREG(status.st_mode):
        raise _Obstacle("something that is neither a file nor a directory is there")
    if form == "oci":
        raise _Obstacle("a file is there, and the format oci is a directory")
    return _archive(path) if status.st_size else ("", "", "")


def _directory(path: str, form: str) -> tuple[str, str, str]:
    names = sorted(os.listdir(path))
    if form != "oci":
        raise _Obstacle(f"a directory is there, and the format {form} is a file")
    if not names:
        return "", "", ""
    if not set(names) <= _LAYOUT or "index.json" not in names:
        more = ", ..." if len(names) > _LISTED else ""
        raise _Obstacle(f"a directory is there that is no layout of an image ({', '.join(names[:_LISTED])}{more})")

    def read(name: str) -> bytes:
        with regular.opened(f"{path}/{name}") as handle:
            return handle.read()

    return _of_layout("oci", read)


def _archive(path: str) -> tuple[str, str, str]:
    try:
        with regular.opened(path) as raw, tarfile.open(fileobj=raw) as archive:
            members = {member.name.removeprefix("./"): member for member in archive}

            def read(name: str) -> bytes:
                content = archive.extractfile(members[name])
                if content is None:
                    raise KeyError(name)
                return content.read()

            if "manifest.json" in members:
                return _of_docker(read)
            return _of_layout("oci-archive", read)
    except (tarfile.TarError, EOFError, zlib.error, OSError):
        raise _Obstacle("a file is there that is no archive of an image") from None


def _of_layout(form: str, read: Callable[[str], bytes]) -> tuple[str, str, str]:
    """Of an OCI layout, whatever it lies in."""
    try:
        index = parse_document(read("index.json"), "index")
        [descriptor] = index["manifests"]
        manifest = parse_document(read("blobs/" + digests.check(descriptor["digest"]).replace(":", "/")), "manifest")
        name = (descriptor.get("annotations") or {}).get(REF_NAME)
        return form, str(manifest["config"]["digest"]), _in_full(name)
    except (ImageError, KeyError, TypeError, ValueError, AttributeError, FileNotFoundError):
        raise _Obstacle("something is there that is no archive or layout with one image") from None


def _of_docker(read: Callable[[str], bytes]) -> tuple[str, str, str]:
    """Of what docker save writes."""
    try:
        [listed] = _list(read("manifest.json"))
        [name] = listed.get("RepoTags") or [None]
        return "docker-archive", digests.of_bytes(read(listed["Config"])), _in_full(name)
    except (ImageError, KeyError, TypeError, ValueError, AttributeError):
        raise _Obstacle("an archive is there that does not hold one image under one name") from None


def _list(content: bytes) -> list[Mapping[str, Any]]:
    return list(parse_document(b'{"images": %s}' % content, "manifest")["images"])


def _in_full(name: Any) -> str:
    """As two spellings of a name compare."""
    try:
        return str(references.parse(name)) if isinstance(name, str) and name else ""
    except ImageError:
        return str(name)
