# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Digests, OCI image-spec descriptor.md. Of the algorithms only sha256 is handled here, as skopeo handles no other."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Any

from ..._kernel import regular
from ..errors import ImageError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: Of any algorithm, with which an image may be described that nobody here asks for.
_ANY = re.compile(r"(?P<algorithm>[a-z0-9]+(?:[+._-][a-z0-9]+)*):[a-zA-Z0-9=_-]{1,256}")
HINT = "Only sha256 is supported: use an image whose manifest, configuration and layers have sha256 digests"


def check(digest: object, what: str = "digest") -> str:
    """The digest itself. Raises ImageError where it is none (it becomes a file name, so nothing else may pass), or of
    an algorithm other than sha256."""
    if isinstance(digest, str) and _DIGEST.fullmatch(digest):
        return digest
    check_form(digest, what)
    algorithm = str(digest).partition(":")[0]
    if algorithm == "sha256":
        raise ImageError(f"{what}: {_shown(digest)} is not a sha256 digest, which has 64 hexadecimal digits")
    raise ImageError(f"{what}: {_shown(digest)} is a digest of the algorithm {algorithm}", HINT)


def check_form(digest: object, what: str) -> str:
    """The digest itself, of whichever algorithm. Raises ImageError where it is none."""
    if not isinstance(digest, str) or not _ANY.fullmatch(digest):
        raise ImageError(f"{what}: {_shown(digest)} is not a digest")
    return digest


def _shown(digest: object) -> str:
    return repr(digest)[:200]


def is_digest(text: str) -> bool:
    """Whether it is a sha256 digest, image-spec descriptor.md."""
    return bool(_DIGEST.fullmatch(text))


def short(digest: str) -> str:
    """The beginning of a digest, by which people tell two apart."""
    algorithm, colon, digits = digest.partition(":")
    return f"{algorithm}{colon}{digits[:12]}"


def of_bytes(content: bytes) -> str:
    """The digest of some bytes, as descriptors write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def of_file(path: str) -> str:
    """The digest of a regular file's content. Raises OSError."""
    with regular.opened(path) as handle:
        return of_open(handle.fileno())


def of_open(fd: int) -> str:
    """The digest of what is still to be read of an open file. Raises OSError."""
    hasher = hashlib.sha256()
    while chunk := os.read(fd, 1 << 20):
        hasher.update(chunk)
    return "sha256:" + hasher.hexdigest()


def canonical(document: Any) -> bytes:
    """A JSON document as bytes that depend on its content alone: sorted keys, no white space."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair (an escape in JSON), or a name not in UTF-8
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def chain_ids(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """The chain IDs of layers, bottom first, OCI image-spec config.md."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(of_bytes(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
