# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking into a running container without trusting what is in it."""

from __future__ import annotations

import errno
import os

from . import process
from .errors import KernelError
from .openat2 import openat2, read_regular

_LARGEST = 8 * 1024 * 1024


def exists(pid: int, started: int | None, path: str) -> bool:
    """Whether an absolute path exists in the root of exactly the process that began at ``started``.

    Symlinks are resolved inside it. Raises KernelError, ESRCH where the process has ended.
    """
    root = _root(pid, started)
    try:
        os.close(openat2(root, path, os.O_PATH))
        return True
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    finally:
        os.close(root)


def read_file(pid: int, started: int | None, path: str) -> bytes | None:
    """A small file in the root of exactly that process, None where there is none. Raises KernelError."""
    root = _root(pid, started)
    try:
        return read_regular(root, path, _LARGEST)
    finally:
        os.close(root)


def _root(pid: int, started: int | None) -> int:
    with process.entry(pid, started) as directory:
        try:
            return os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        except OSError as error:
            raise KernelError.wrap(error, "open", f"/proc/{pid}/root", "The process has ended") from error
