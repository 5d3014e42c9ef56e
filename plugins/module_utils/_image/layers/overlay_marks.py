# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How overlayfs marks in a layer what hides something of the layers below (kernel: filesystems/overlayfs.rst)."""

from __future__ import annotations

import os
import stat

OPAQUE_XATTR = "trusted.overlay.opaque"


def is_whiteout(status: os.stat_result) -> bool:
    """Whether it hides what has its name below."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(directory: int | str) -> bool:
    """Whether a directory, by path or open for reading, hides all that the one below it holds."""
    try:
        return os.getxattr(directory, OPAQUE_XATTR) == b"y"
    except OSError:
        return False


def is_opaque_path(fd: int) -> bool:
    """As is_opaque, of a descriptor that is a place alone (O_PATH)."""
    return is_opaque(f"/proc/self/fd/{fd}")
