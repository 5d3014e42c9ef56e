# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of ours: JSON objects on disk with a version that is read.

Other versions of the collection read them and write them again: the library that boot runs, and another controller's.
A field more is no new version: a reader that does not know it ignores it, and whoever rewrites a record keeps it
(``others``). What an older reader would misunderstand is a new version, and then that reader says so.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping
from typing import Any

from . import files
from .errors import KernelError

VERSION = "version"
#: The newest version of records that this code reads, and the one that it writes, unless a kind has its own. Records
#: without a version are of the first.
FIRST = 1


def read(path: str, newest: int = FIRST, key: str = VERSION) -> dict[str, Any] | None:
    """The record, None where there is none. ``newest`` is the newest version that the caller understands.

    Raises KernelError, EBADMSG for one that is damaged or of a newer version.
    """
    document = files.read_json(path)
    return None if document is None else check(path, document, newest, key)


def check(path: str, document: Any, newest: int = FIRST, key: str = VERSION) -> dict[str, Any]:
    """A document that was read from there, as a record. Raises KernelError as read() does."""
    if not isinstance(document, dict):
        raise files.damaged(path)
    version = document.get(key, FIRST)
    if not isinstance(version, int) or isinstance(version, bool) or version < FIRST:
        raise files.damaged(path)
    if version > newest:
        hint = (
            f"The record has version {version}, and this version of barekernel.containers reads versions up to "
            f"{newest}: use the version that wrote it, or a newer one"
        )
        raise KernelError(errno.EBADMSG, "read", path, hint)
    return document


def others(document: Mapping[str, Any] | None, known: Collection[str]) -> dict[str, Any]:
    """The fields that this code does not know, to be written again with the others."""
    return {name: value for name, value in (document or {}).items() if name not in known and name != VERSION}


def known(document: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The fields of those names, without what a newer version of the collection has added."""
    return {name: value for name, value in document.items() if name in names}
