# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking into a running container without trusting what is in it."""

from __future__ import annotations

import errno
import os

from .errors import KernelError
from .openat2 import openat2


def exists(pid: int, path: str) -> bool:
    """Whether an absolute path exists in the root of that process, symlinks resolved inside it. Raises KernelError."""
    fd = _open(pid, path, os.O_PATH)
    if fd is None:
        return False
    os.close(fd)
    return True


def read_file(pid: int, path: str) -> bytes | None:
    """A small file in the root of that process, None where there is none. Raises KernelError."""
    # O_NONBLOCK: a FIFO planted under that name must not hold us.
    fd = _open(pid, path, os.O_RDONLY | os.O_NONBLOCK)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as handle:
        return handle.read(8 * 1024 * 1024)


def _open(pid: int, path: str, flags: int) -> int | None:
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError.wrap(error, "open", f"/proc/{pid}/root", "The process has ended") from error
    try:
        return openat2(root, path, flags)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    finally:
        os.close(root)
