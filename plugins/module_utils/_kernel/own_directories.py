# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directories of ours that several objects share, as they are: somebody may have opened them."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from . import locations


class Changed(NamedTuple):
    """A directory with another mode or owner than the one it is made with."""

    path: str
    mode: int
    uid: int
    gid: int
    wanted: int


def changed() -> tuple[Changed, ...]:
    """Those that exist and are not root's with the mode of locations.MODES. A directory above comes first.

    What is on a read-only file system stays as it is.
    """
    return tuple(found for path, mode in locations.MODES.items() if (found := _changed(path, mode)) is not None)


def _changed(path: str, wanted: int) -> Changed | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode) or (mode, status.st_uid, status.st_gid) == (wanted, 0, 0):
        return None
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return None
    return Changed(path, mode, status.st_uid, status.st_gid, wanted)
