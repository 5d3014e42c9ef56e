# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The containers declared on this host, by their records: for all whose work must not disturb them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from . import locations, record_file

#: Of container.json, and of launch.json (the launcher's, _runtime/supervise/launch.py).
VERSION = 1
LAUNCH_VERSION = 1


def names(directory: str = locations.CONTAINERS) -> list[str]:
    """Of those that have a directory, sorted, without what is half-made."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def read(name: str, directory: str = locations.CONTAINERS) -> dict[str, Any] | None:
    """container.json (_container/documents.py), None where there is none.

    Raises KernelError, EBADMSG for one that is damaged or of a newer version.
    """
    return record_file.read(f"{directory}/{name}/container.json", VERSION)


def read_launch(name: str, directory: str = locations.CONTAINERS) -> dict[str, Any] | None:
    """launch.json, None where there is none. Raises KernelError as read() does."""
    return record_file.read(f"{directory}/{name}/launch.json", LAUNCH_VERSION)


def declared(directory: str = locations.CONTAINERS, without: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of every container but ``without``. Raises KernelError as read() does."""
    for name in names(directory):
        record = read(name, directory) if name != without else None
        if record is not None:
            yield name, record
