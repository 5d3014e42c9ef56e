# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is open in a process that becomes a container's: nothing by which a path could lead to the host.

To mark descriptors close-on-exec is not enough. chdir(2) and execve(2) look their paths up while everything is still
open, and /proc/self/fd/N/.. of a directory of the host is the host's (CVE-2024-21626); the path is the image's to
choose: its program, its PATH, its #! line, its loader. So they are closed, and what must stay open up to execve(2) is
no directory: sockets, FIFOs, files and pidfds have no "..".
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..._kernel import libc

#: The first after standard input, output and error.
FIRST = 3
_LAST = 0xFFFFFFFF


def close_all_but(kept: Iterable[int]) -> None:
    """Close everything from FIRST on that is not named, also what somebody leaked to us. Raises KernelError."""
    begin = FIRST
    for fd in sorted({fd for fd in kept if fd >= FIRST}):
        _close(begin, fd - 1)
        begin = fd + 1
    _close(begin, _LAST)


def _close(first: int, last: int) -> None:
    if first <= last:
        libc.syscall("close_range", libc.NR_close_range, first, last, 0)


def given(*fds: int | None) -> tuple[int, ...]:
    """Those that are not None."""
    return tuple(fd for fd in fds if fd is not None)


def handed_on(count: int) -> tuple[int, ...]:
    """Those of the ``count`` descriptors from FIRST on that our caller left open for the container.

    A number that it left free may be one of ours by now: that is close-on-exec, as nothing is that was handed to us.
    """
    return tuple(fd for fd in range(FIRST, FIRST + count) if _is_inherited(fd))


def _is_inherited(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False


def complete_standard() -> None:
    """Standard input, output and error that our caller closed: else the next file of ours would become one of them."""
    for fd in range(FIRST):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)  # the lowest number that is free: this one
