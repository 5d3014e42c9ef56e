# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on which port of the host: /proc/net/{tcp,udp}{,6} (proc_net(5)) and /proc/PID/fd."""

from __future__ import annotations

import _socket  # the small one: importing socket costs 15 ms
import contextlib
import errno
import ipaddress
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from . import process
from .errors import KernelError

#: A socket that waits for peers: TCP_LISTEN; a UDP socket without a peer is in state TCP_CLOSE.
_WAITING = {"tcp": 0x0A, "udp": 0x07}
_PROTOCOLS = {"tcp": 6, "udp": 17}
_AF_INET6 = 10
#: linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h: struct inet_diag_msg ends with the socket's inode.
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, _NLM_F_DUMP, _NLMSG_ERROR, _NLMSG_DONE = 4, 20, 1, 0x300, 2, 3
_DIAG_HEADER = 72
_V6ONLY = 11  #: INET_DIAG_SKV6ONLY


def is_local(address: str) -> bool:
    """Whether packets to that address are for this host, or the host takes any for its own (ip_nonlocal_bind).

    bind(2) is asked, which knows local routes as well (ip(7)). Raises nothing: what cannot be told counts as local.
    """
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    try:
        asked = _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    except OSError:
        return True
    try:
        asked.bind((address, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    finally:
        asked.close()
    return True


@dataclass(frozen=True)
class Listener:
    """A bound socket that takes what comes to its port. ``address`` is as ipaddress prints it (0.0.0.0, ::).

    ``only_ipv6``: one on :: that takes no IPv4 (IPV6_V6ONLY, ipv6(7)).
    """

    protocol: str
    address: str
    port: int
    inode: int
    only_ipv6: bool = False


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
    if not any(listener.address == "::" for listener in found):
        return tuple(found)
    # /proc does not show it.
    only = {inode for protocol in _PROTOCOLS for inode in _only_ipv6(protocol)}
    return tuple(replace(li, only_ipv6=True) if li.inode in only else li for li in found)


def _only_ipv6(protocol: str) -> Iterator[int]:
    """Inodes of the waiting sockets that take IPv6 alone, by sock_diag(7). None where the kernel cannot say."""
    number, state = _PROTOCOLS[protocol], _WAITING[protocol]
    request = struct.pack("=BBBBI48x", _AF_INET6, number, 0, 0, 1 << state)
    header = struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
    try:
        diag = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    except OSError:
        return
    try:
        diag.send(header + request)
        while True:
            for kind, message in _messages(diag.recv(1 << 16)):
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    return
                if _V6ONLY in dict(_attributes(message[_DIAG_HEADER:])):
                    yield struct.unpack_from("=I", message, _DIAG_HEADER - 4)[0]
    except OSError:
        return
    finally:
        diag.close()


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """netlink(7): type and payload of each message."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(max(length, 16) + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, int]]:
    """Number and first byte of each attribute that is not 0."""
    while len(data) >= 4:
        length, number = struct.unpack_from("=HH", data)
        if length > 4 and data[4]:
            yield number, data[4]
        data = data[(max(length, 4) + 3) & ~3 :]


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
