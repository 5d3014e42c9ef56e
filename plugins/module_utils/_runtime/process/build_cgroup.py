# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cgroup that a build's commands run in: one on a host, as whoever builds holds the lock of the image store.

A build that was killed leaves it: the kernel ends the processes with the build, and keeps the cgroup.
"""

from __future__ import annotations

import os

from ..._kernel import cgroup
from . import cgroups

#: No container's: their ids hold no such sign.
_NAME = "@build"


def path() -> str | None:
    """Where it is while a command runs; None where cgroup2 is not mounted."""
    return cgroups.path_for(None, _NAME)


def left() -> bool:
    """Whether it is there, or what was made on the way to it and holds nothing. Reads only."""
    build = path()
    if build is None:
        return False
    parent = os.path.dirname(build)
    implied = cgroup.mark_of(parent) == cgroup.IMPLIED
    return os.path.isdir(build) or (implied and not any(entry.is_dir() for entry in os.scandir(parent)))


def clear() -> None:
    """Remove it, and end what is in it. The caller holds that lock. Raises Busy, KernelError."""
    build = path()
    if build is not None:
        cgroups.destroy(build)
