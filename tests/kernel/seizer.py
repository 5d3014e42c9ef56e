# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container's own program that takes over every process that appears beside it, and says what it gained by that.

Run by itself, inside: argument 1 is a path below the host's root that the container has not. With "output" as argument
2 it looks only at who is at the other end of its own standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import sys
from collections.abc import Iterator

# ptrace(2), pidfd_open(2), pidfd_getfd(2), unix(7)
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
PIDFD_OPEN, PIDFD_GETFD = 434, 438
SO_PEERPIDFD = 77
WAIT_ALL = 0x40000000
NUMBERS = range(40)


def call(function: str, *numbers: int) -> int:
    handle = getattr(ctypes.CDLL(None, use_errno=True), function)
    handle.restype = ctypes.c_long
    result = int(handle(*(ctypes.c_long(number) for number in numbers)))
    if result < 0:
        raise OSError(ctypes.get_errno(), function)
    return result


def status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8") as handle:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in handle)}


def descriptors(pidfd: int) -> Iterator[int]:
    """All of another process, taken one after the other."""
    for number in NUMBERS:
        with contextlib.suppress(OSError):
            fd = call("syscall", PIDFD_GETFD, pidfd, number, 0)
            yield fd
            os.close(fd)


def processes(fd: int) -> Iterator[int]:
    """Those that a descriptor gives a hold of."""
    kind = os.readlink(f"/proc/self/fd/{fd}")
    if "pidfd" in kind:
        yield fd
    elif kind.startswith("socket:"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as handle:
            yield handle.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)


def leads_to(fd: int, path: str) -> bool:
    try:
        os.close(os.open("../" * 12 + path.lstrip("/"), os.O_PATH, dir_fd=fd))
    except OSError:
        return False
    return True


def limits(pid: int) -> list[float]:
    """All but that of processes, which is set later and does not hold root; and how unlikely the OOM killer is."""
    with open(f"/proc/{pid}/limits", encoding="utf-8") as handle:
        rows = [line[26:].split() for line in handle.readlines()[1:] if not line.startswith("Max processes")]
    with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as handle:
        return [-float(handle.read()), *(float(word.replace("unlimited", "inf")) for row in rows for word in row[:2])]


def gained(pid: int, path: str) -> list[str]:
    mine, theirs = status(os.getpid()), status(pid)
    found = []
    if int(theirs["CapPrm"], 16) & ~int(mine["CapPrm"], 16):
        found.append("capabilities")
    found += [name for name in ("Seccomp", "NoNewPrivs") if theirs[name] < mine[name]]
    if any(number > own for number, own in zip(limits(pid), limits(os.getpid()))):
        found.append("limits")
    with open(f"/proc/{pid}/environ", "rb") as handle:
        if b"ONLY_ON_THE_HOST" in handle.read():
            found.append("environment")
    for fd in descriptors(call("syscall", PIDFD_OPEN, pid, 0)):
        if leads_to(fd, path) or leads_further(fd, path):
            found.append("the host's files")
    return found


def leads_further(fd: int, path: str) -> bool:
    return any(leads_to(deep, path) for far in processes(fd) for deep in descriptors(far))


def main() -> None:
    if sys.argv[2:] == ["output"]:
        os.write(1, b"escaped" if leads_further(1, sys.argv[1]) else b"held")
        return
    known = {os.getpid()}
    with open("/tmp/watches", "wb"):
        pass
    while True:
        for pid in {int(name) for name in os.listdir("/proc") if name.isdigit()} - known:
            known.add(pid)
            call("ptrace", SEIZE, pid, 0, 0)
            with open("/tmp/found.new", "w", encoding="utf-8") as handle:
                json.dump(gained(pid, sys.argv[1]), handle)
            call("ptrace", INTERRUPT, pid, 0, 0)
            os.waitpid(pid, WAIT_ALL)
            call("ptrace", DETACH, pid, 0, 0)
            os.rename("/tmp/found.new", "/tmp/found")


if __name__ == "__main__":
    main()
