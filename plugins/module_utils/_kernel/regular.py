# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening what somebody names as a file: to open a FIFO waits for ever, and to open a device can do something."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

from .errors import KernelError

#: What is no regular file, in words, fifo(7), socket(7).
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}


def kind_of(status: os.stat_result) -> str:
    """What it is instead of a regular file; empty for one, and for a symbolic link."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "")


def check(path: str | bytes) -> os.stat_result:
    """The status of a regular file, looked at without opening it. Raises KernelError, EINVAL for anything else."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise KernelError.wrap(error, "stat", path) from error
    _refuse(path, status)
    return status


def opened(path: str | bytes) -> BinaryIO:
    """A regular file for reading, unbuffered. Raises KernelError, EINVAL for anything else."""
    check(path)
    try:
        # It may have become something else since, so this must not wait either.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error
    try:
        _refuse(path, os.fstat(fd))
        return open(fd, "rb", buffering=0)
    except BaseException:
        os.close(fd)
        raise


def _refuse(path: str | bytes, status: os.stat_result) -> None:
    if kind := kind_of(status):
        raise KernelError(errno.EINVAL, "open", path, f"It is {kind}: give a regular file")
