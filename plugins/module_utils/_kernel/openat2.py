# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""openat2(2): paths inside a directory nobody trusts."""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from . import libc
from .errors import KernelError

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def openat2(dir_fd: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """openat2(2), close-on-exec; by default the path cannot leave dir_fd, whatever its symlinks say.

    Returns a file descriptor. Raises KernelError.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    raw = os.fsencode(path)
    return libc.syscall("openat2", libc.NR_openat2, dir_fd, raw, ctypes.byref(how), ctypes.sizeof(how), path=raw)


def read_regular(dir_fd: int, path: str | bytes, largest: int) -> bytes | None:
    """The first ``largest`` bytes of a file that whoever controls the directory may have made anything of.

    None where there is none, or something else bears its name: a FIFO would hold us for ever, and to open a device can
    do something. Raises KernelError.
    """
    try:
        looked_at = openat2(dir_fd, path, os.O_PATH)
        try:
            if not stat.S_ISREG(os.fstat(looked_at).st_mode):
                return None
        finally:
            os.close(looked_at)
        # It may have become something else since, so this must not wait either.
        fd = openat2(dir_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    with os.fdopen(fd, "rb") as handle:
        return handle.read(largest) if stat.S_ISREG(os.fstat(fd).st_mode) else None
