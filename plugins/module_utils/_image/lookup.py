# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a single file of a stack of layers that nobody has mounted."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from .._kernel.errors import KernelError
from .._kernel.openat2 import openat2, read_regular
from .overlay_marks import is_opaque_path

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
            content = read_regular(layer_fd, path, _LARGEST)
            if content is not None:
                return content
            if _hides_lower(layer_fd, path):
                return None
        finally:
            os.close(layer_fd)
    return None


def _hides_lower(layer_fd: int, path: str) -> bool:
    """Whether what is on the way makes the layers below invisible (overlayfs.rst): an opaque directory, a whiteout, or
    anything else that is no directory."""
    parts = path.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        try:
            fd = openat2(layer_fd, "/".join(parts[:depth]), os.O_PATH | os.O_NOFOLLOW)
        except KernelError:
            return False
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode) or is_opaque_path(fd):
                return True
        finally:
            os.close(fd)
    return False
