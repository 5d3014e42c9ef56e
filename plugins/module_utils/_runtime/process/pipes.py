# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a process's standard input, output and error are: /dev/stdout is opened anew, with the right to do so.

The kernel asks for the owner of the pipe behind /proc/self/fd/1 then. A new pipe is its maker's, the host's root; so
it is given to the user that the process runs as, as by runc and crun, on which images rely that link their logs there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from ..._kernel import process
from ..._kernel.errors import KernelError

#: Standard input, output and error of the runtime itself, which the container's process inherits.
OWN = (0, 1, 2)


def give(fds: Iterable[int], pid: int, started: int | None, uid: int, gid: int) -> None:
    """Make those of ``fds`` that are pipes the property of IDs in the user namespace of a process, by its start time.

    Also where our caller made the pipe: the process can read or write it anyway, and nobody finds it by a name. What
    has one (a file, a FIFO in a directory, a terminal) and a socket stay whose they are. IDs that the namespace does
    not map, and a pipe that we may not give away, are left alone: the program then cannot open it, and nothing else.
    """
    try:
        with process.entry(pid, started) as entry:
            owner, group = _outside(entry, "uid_map", uid), _outside(entry, "gid_map", gid)
    except KernelError:  # it is over
        return
    if owner is None or group is None:
        return
    for fd in filter(_is_pipe, fds):
        with contextlib.suppress(OSError):
            os.fchown(fd, owner, group)


def _is_pipe(fd: int) -> bool:
    """Whether pipe(2) made it: all such are on one file system, which nobody can mount."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        return os.fstat(fd).st_dev == os.fstat(reader).st_dev
    finally:
        os.close(reader)
        os.close(writer)


def _outside(entry: int, name: str, number: int) -> int | None:
    """What we call an ID of that process's user namespace, user_namespaces(7); None where it is not mapped."""
    try:
        with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=entry), encoding="ascii") as handle:
            maps = [[int(word) for word in line.split()] for line in handle]
    except OSError:  # it is over
        return None
    for inside, outside, size in maps:
        if inside <= number < inside + size:
            return outside + number - inside
    return None
