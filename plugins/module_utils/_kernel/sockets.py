# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on which port of the host: /proc/net/{tcp,udp}{,6} (proc_net(5)) and /proc/PID/fd."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from . import process
from .errors import KernelError

#: A socket that waits for peers: TCP_LISTEN; a UDP socket without a peer is in state TCP_CLOSE.
_WAITING = {"tcp": 0x0A, "udp": 0x07}


@dataclass(frozen=True)
class Listener:
    """A bound socket that takes what comes to its port. ``address`` is as ipaddress prints it (0.0.0.0, ::)."""

    protocol: str
    address: str
    port: int
    inode: int


def read_listeners(root: str = "/proc/thread-self/net") -> tuple[Listener, ...]:
    """All listeners of the calling process's network namespace. Raises KernelError."""
    found: list[Listener] = []
    for protocol, file_name in (("tcp", "tcp"), ("tcp", "tcp6"), ("udp", "udp"), ("udp", "udp6")):
        path = f"{root}/{file_name}"
        try:
            with open(path, encoding="ascii") as handle:
                found += parse(protocol, handle.read())
        except FileNotFoundError:
            continue  # a kernel without IPv6 has no *6 files
        except OSError as error:
            raise KernelError.wrap(error, "open", path) from error
    return tuple(found)


def parse(protocol: str, text: str) -> list[Listener]:
    """The listening sockets of one of the files; the first line is its header."""
    listeners = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        address, _colon, port = fields[1].partition(":")
        if int(fields[3], 16) == _WAITING[protocol]:
            listeners.append(Listener(protocol, decode_address(address), int(port, 16), int(fields[9])))
    return listeners


def decode_address(text: str, byteorder: str = sys.byteorder) -> str:
    """An address as these files print it: 32-bit words, each a number in the machine's byte order."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    raw = b"".join(word.to_bytes(4, "little" if byteorder == "little" else "big") for word in words)
    return str(ipaddress.ip_address(raw))


def holder_of(inode: int) -> str:
    """The process that holds a socket as "PID command", "an unknown process" where none is to be seen."""
    wanted = f"socket:[{inode}]"
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        if wanted in _descriptors(pid):
            return f"{pid} {process.command(int(pid))}".rstrip()
    return "an unknown process"


def _descriptors(pid: str) -> Iterator[str]:
    """What the descriptors of a process lead to; one that it closes meanwhile is left out."""
    with contextlib.suppress(OSError):  # it has ended
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                yield os.readlink(f"/proc/{pid}/fd/{fd}")
