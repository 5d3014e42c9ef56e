# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is mounted where, from /proc/PID/mountinfo (proc_pid_mountinfo(5)), as bytes."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

from .errors import KernelError

_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo, unescaped. Paths are bytes: the kernel promises no encoding."""

    mount_id: int
    parent_id: int
    device: str
    root: bytes
    target: bytes
    flags: tuple[str, ...]
    propagation: tuple[str, ...]
    fstype: str
    source: bytes
    options: tuple[bytes, ...]


def unescape(field: bytes) -> bytes:
    r"""Undo the kernel's octal escapes (\040 space, \011 tab, \012 newline, \134 backslash, ...)."""
    return _OCTAL.sub(lambda match: bytes([int(match.group(1), 8)]), field)


def parse_line(line: bytes) -> Mount:
    """Parse one line; the optional fields end at the single hyphen."""
    head, _separator, tail = line.partition(b" - ")
    fields = head.split(b" ")
    fstype, source, options = (tail.split(b" ") + [b"", b"", b""])[:3]
    return Mount(
        mount_id=int(fields[0]),
        parent_id=int(fields[1]),
        device=fields[2].decode(),
        root=unescape(fields[3]),
        target=unescape(fields[4]),
        flags=tuple(fields[5].decode().split(",")),
        propagation=tuple(f.decode() for f in fields[6:]),
        fstype=fstype.decode(),
        source=unescape(source),
        # A comma inside a value is escaped as \054, so this split is safe; values keep their escapes undone.
        options=tuple(unescape(option) for option in options.split(b",")),
    )


def read_mountinfo(pid: int | str = "self", directory: int | None = None) -> tuple[Mount, ...]:
    """Every mount of a process's mount namespace, in the kernel's order (a later one covers an earlier one).

    ``directory``: the process's open directory in /proc, instead of a PID. Raises KernelError: ESRCH where the process
    has ended.
    """
    path = f"/proc/{pid}/mountinfo" if directory is None else "mountinfo"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        with open(fd, "rb") as handle:
            return tuple(parse_line(line) for line in handle.read().split(b"\n") if line)
    except OSError as error:
        if error.errno == errno.EINVAL:  # it is ending, and has left its mount namespace (Linux, fs/proc_namespace.c)
            raise KernelError(errno.ESRCH, "open", path) from error
        raise KernelError.wrap(error, "open", path) from error
