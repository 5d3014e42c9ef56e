# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths as people write and read them: text, or a file: URI for bytes that no text can hold.

Ansible passes text (Unicode) to modules and back, and refuses anything else. A path may hold any bytes but NUL. So a
path is written either as it is, or as ``file:///srv/caf%E9`` with percent escapes (RFC 8089), and shown the same way.
"""

from __future__ import annotations

import os
from urllib.parse import quote_from_bytes, unquote_to_bytes

#: PATH_MAX without its NUL, NAME_MAX: <linux/limits.h>.
PATH_MAX, NAME_MAX = 4095, 255


def parse_path(text: str) -> bytes:
    """An absolute path, normalised. Raises ValueError with what is wrong."""
    raw = unquote_to_bytes(_uri_path(text)) if text.startswith("file:") else text.encode("utf-8", "surrogateescape")
    if not raw.startswith(b"/"):
        raise ValueError("must be an absolute path, or a file: URI of one")
    if b"\0" in raw:
        raise ValueError("holds a NUL byte, which no path can")
    names = [name for name in raw.split(b"/") if name not in (b"", b".")]
    if b".." in names:
        raise ValueError("holds '..': write the path it leads to")
    path = b"/" + b"/".join(names)
    if len(path) > PATH_MAX or any(len(name) > NAME_MAX for name in names):
        raise ValueError(f"is too long: a path holds {PATH_MAX} bytes and each name in it {NAME_MAX}")
    return path


def _uri_path(text: str) -> str:
    if not text.startswith("file:///"):
        raise ValueError("a file: URI begins with file:/// and holds no host name")
    return text[len("file://") :]


def show_path(raw: bytes) -> str:
    """The same path as text where it is UTF-8, else as a file: URI. parse_path reads both."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return "file://" + quote_from_bytes(raw, safe="/")


def inside(path: bytes, directory: bytes) -> bool:
    """Whether a normalised path is that directory or below it."""
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def ancestors(path: bytes) -> tuple[bytes, ...]:
    """The directories above a normalised path, nearest first, without the root."""
    above = []
    while len(path) > 1:
        path = os.path.dirname(path)
        if path != b"/":
            above.append(path)
    return tuple(above)
