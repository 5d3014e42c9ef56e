# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flags of inodes, ioctl_iflags(2)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

# The argument is a long by number (so another one where a long is shorter) and an int in fact.
_LONG = struct.calcsize("l")
_FS_IOC_GETFLAGS = 0x80006601 | _LONG << 16
_FS_IOC_SETFLAGS = 0x40006602 | _LONG << 16
_FS_TOPDIR_FL = 0x00020000


def spread(path: str) -> None:
    """chattr +T: what is in this directory is unrelated, and ext4 puts each directory in it (by its name) elsewhere.

    Two layers that unpack at once are then not in each other's way, nor in that of thousands of inodes that were freed
    a minute ago, past which an ext4 without journal walks for each new one. Other file systems refuse: nothing is lost.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            flags = struct.unpack("i", fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(4)))[0]
            fcntl.ioctl(fd, _FS_IOC_SETFLAGS, struct.pack("i", flags | _FS_TOPDIR_FL))
    finally:
        os.close(fd)
