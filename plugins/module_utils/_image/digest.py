# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Digests, OCI image-spec descriptor.md: ``sha256:`` and 64 hexadecimal digits (sha512 likewise)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Any

from .errors import ImageError

_DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


def check(digest: object, what: str = "digest") -> str:
    """The digest itself. Raises ImageError where it is none (it becomes a file name, so nothing else may pass)."""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ImageError(f"{what}: {digest!r} is not a sha256 or sha512 digest")
    return digest


def is_digest(text: str) -> bool:
    """Whether it is a sha256 or sha512 digest, image-spec descriptor.md."""
    return bool(_DIGEST.fullmatch(text))


def of_bytes(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of some bytes, as descriptors write it."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def of_file(path: str) -> str:
    """The digest of a file's content. Raises OSError."""
    with open(path, "rb", buffering=0) as handle:
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
