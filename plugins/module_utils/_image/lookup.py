# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a single file of a stack of layers that nobody has mounted."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from .._kernel.errors import KernelError
from .._kernel.openat2 import openat2
from .overlay_marks import is_opaque_path, is_whiteout

_LARGEST = 8 * 1024 * 1024


def read_file(layers: Sequence[str], path: str) -> bytes | None:
    """The file as an overlay of ``layers`` (top first) would show it, None where there is none.

    Every layer is untrusted: the path is resolved inside it (openat2(2), RESOLVE_IN_ROOT). A symlink that leads into
    another layer is not followed there. Raises KernelError.
    """
    for layer in layers:
        try:
            layer_fd = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            content = _read_regular(layer_fd, path)
            if content is not None:
                return content
            if _hides_lower(layer_fd, path):
                return None
        finally:
            os.close(layer_fd)
    return None


def _read_regular(layer_fd: int, path: str) -> bytes | None:
    try:
        # O_NONBLOCK: a FIFO planted under that name must not hold us.
        fd = openat2(layer_fd, path, os.O_RDONLY | os.O_NONBLOCK)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    with os.fdopen(fd, "rb") as handle:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return handle.read(_LARGEST)


def _hides_lower(layer_fd: int, path: str) -> bool:
    """Whether a whiteout or an opaque directory on the way makes the layers below invisible (overlayfs.rst)."""
    parts = path.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        try:
            fd = openat2(layer_fd, "/".join(parts[:depth]), os.O_PATH | os.O_NOFOLLOW)
        except KernelError:
            return False
        try:
            status = os.fstat(fd)
            if is_whiteout(status):
                return True
            if stat.S_ISDIR(status.st_mode) and is_opaque_path(fd):
                return True
        finally:
            os.close(fd)
    return False
