# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking into a running container without trusting what is in it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from . import process
from .errors import KernelError
from .openat2 import openat2, read_regular

_LARGEST = 8 * 1024 * 1024


def exists(pid: int, started: int | None, path: str) -> bool:
    """Whether an absolute path exists in the root of exactly the process that began at ``started``.

    Symlinks are resolved inside it. Raises KernelError, ESRCH where the process has ended.
    """
    with _root(pid, started) as root:
        try:
            os.close(openat2(root, path, os.O_PATH))
            return True
        except KernelError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return False
            raise


def read_file(pid: int, started: int | None, path: str) -> bytes | None:
    """A small file in the root of exactly that process, None where there is none.

    Raises KernelError, ESRCH where the process has ended.
    """
    with _root(pid, started) as root:
        return read_regular(root, path, _LARGEST)


@contextlib.contextmanager
def _root(pid: int, started: int | None) -> Iterator[int]:
    """What was found there does not count where the process has ended meanwhile: its mounts went with it."""
    with process.entry(pid, started) as directory:
        try:
            root = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        except OSError as error:
            raise KernelError.wrap(error, "open", f"/proc/{pid}/root") from error
        try:
            yield root
        finally:
            os.close(root)
        if not process.runs(directory):
            raise KernelError(errno.ESRCH, "open", f"/proc/{pid}/root", "The process has ended")
