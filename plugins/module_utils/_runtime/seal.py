# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interpreter that enters a container must not be one that the container can write to (CVE-2019-5736).

What a container executes as /proc/self/exe at the right moment is the runtime's own program: for us, the host's Python.
A user namespace takes away the right to write to it. Without one, the runtime starts itself again from a copy that
nobody can write to: the same file through a read-only overlay that is mounted nowhere, or else a sealed memfd.
"""

from __future__ import annotations

import fcntl
import os
import sys

from .._kernel import mount
from .._kernel.errors import KernelError
from .errors import RuntimeFailure

#: Only to end a loop should the check below ever fail: it is not what tells whether we are safe.
_ALREADY = "NSRUN_SEALED"
_F_ADD_SEALS = 1033
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # seal, shrink, grow, write; fcntl(2)


def ensure() -> None:
    """Return if this process runs from a copy that cannot be written to; else become one (execve) and begin again.

    To be called before anything was changed. Raises RuntimeFailure, KernelError.
    """
    if _is_sealed():
        return
    if os.environ.get(_ALREADY):
        raise RuntimeFailure("nsrun could not make a safe copy of its own interpreter to enter a container with")
    interpreter = os.path.realpath(sys.executable)
    try:
        fd = _through_overlay(interpreter)
    except KernelError:
        fd = _in_memory(interpreter)
    # argv[0] is the real path: by it Python finds its library.
    os.execve(fd, [sys.executable, "-IS", *sys.argv], {**os.environ, _ALREADY: "1"})


def _is_sealed() -> bool:
    running, installed = os.stat("/proc/self/exe"), os.stat(sys.executable)
    return (running.st_dev, running.st_ino) != (installed.st_dev, installed.st_ino)


def _through_overlay(path: str) -> int:
    """The file opened through an overlay without an upper layer: no mount option can make that writable."""
    from .._kernel.mount_overlay import overlay_tree

    tree = overlay_tree([os.path.dirname(path)], attributes=mount.MOUNT_ATTR_RDONLY, source="barekernel:interpreter")
    try:
        return os.open(os.path.basename(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=tree)
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from None
    finally:
        os.close(tree)


def _in_memory(path: str) -> int:
    """A copy in memory, sealed."""
    fd = os.memfd_create("nsrun", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(path, "rb") as source:
        size = os.fstat(source.fileno()).st_size
        done = 0
        while done < size:
            done += os.sendfile(fd, source.fileno(), done, size - done)
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    # What is open for writing cannot be executed (ETXTBSY), even when it is sealed.
    readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    os.close(fd)
    return readable
