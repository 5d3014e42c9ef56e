# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking into a running container without trusting what is in it."""

from __future__ import annotations

import errno
import os

from .errors import KernelError
from .openat2 import openat2, read_regular

_LARGEST = 8 * 1024 * 1024


def exists(pid: int, path: str) -> bool:
    """Whether an absolute path exists in the root of that process, symlinks resolved inside it. Raises KernelError."""
    root = _root(pid)
    try:
        os.close(openat2(root, path, os.O_PATH))
        return True
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    finally:
        os.close(root)


def read_file(pid: int, path: str) -> bytes | None:
    """A small file in the root of that process, None where there is none. Raises KernelError."""
    root = _root(pid)
    try:
        return read_regular(root, path, _LARGEST)
    finally:
        os.close(root)


def _root(pid: int) -> int:
    try:
        return os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError.wrap(error, "open", f"/proc/{pid}/root", "The process has ended") from error
