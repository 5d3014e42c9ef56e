# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages of rtnetlink(7) as bytes: what is read of a host, and the few that pyroute2 cannot make.

What a task reads is most of what it asks the kernel. pyroute2 needs 0.3 ms for each message and 0.1 s to be imported;
here a message costs some microseconds.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator
from typing import Any

from . import namespaces
from .errors import BareKernelError, KernelError
from .namespaces import HOST, NamespaceId, NetnsRef

#: linux/netlink.h
REQUEST, ACK, DUMP, CREATE, REPLACE = 0x1, 0x4, 0x300, 0x400, 0x100
_ERROR, _DONE = 2, 3
_DUMP_INTR, _CAPPED, _ACK_TLVS = 0x10, 0x100, 0x200
_SOL_NETLINK, _EXT_ACK = 270, 11
_ERROR_MESSAGE = 1
#: Times that a list is asked for again because it changed while the kernel wrote it.
_TRIES = 10
#: No message of a list is longer than what the kernel fills at a time (NLMSG_GOODSIZE, at most 32 KiB).
_BUFFER = 1 << 17

_ORDER = sys.byteorder
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_open: dict[NamespaceId, Any] = {}
_sequence = 0


def ask(
    kind: int, flags: int, body: bytes, netns: NetnsRef = HOST, *, what: str, subject: str, hint: str = ""
) -> list[bytes]:
    """Send one message; the answers without their headers. ``what`` and ``subject`` are for the error.

    Raises KernelError.
    """
    for _attempt in range(_TRIES):
        try:
            answers, whole = _exchange(_socket_in(netns), kind, flags, body)
        except _Refused as error:
            raise KernelError(error.code, what, subject, hint, error.words) from None
        except OSError as error:
            if isinstance(error, KernelError):
                raise
            raise KernelError.wrap(error, what, subject, hint) from error
        if whole:
            return answers
    raise KernelError(errno.EINTR, what, subject, "It changed each time that it was read")


def attributes(data: bytes, start: int = 0) -> dict[int, bytes]:
    """The attributes behind a message's fixed part, or within another attribute; of one kind the last."""
    found, end = {}, len(data)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def attribute(kind: int, content: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(content), kind) + content + bytes(-len(content) % 4)


def number(content: bytes | None) -> int:
    """An attribute that is one number, 0 where it is missing."""
    return int.from_bytes(content, _ORDER) if content else 0


def text(content: bytes | None) -> str:
    """An attribute that is a C string, empty where it is missing."""
    return os.fsdecode(content.rstrip(b"\0")) if content else ""


def hardware_address(content: bytes | None) -> str:
    """A MAC address, empty where it is missing."""
    return content.hex(":") if content else ""


def forget(known: NamespaceId) -> None:
    """Close the socket into a namespace."""
    if known in _open:
        _open.pop(known).close()


def forget_all() -> None:
    """Close every socket."""
    while _open:
        _open.popitem()[1].close()


class _Refused(BareKernelError):
    def __init__(self, code: int, words: str) -> None:
        super().__init__(code)
        self.code, self.words = code, words


def _socket_in(netns: NetnsRef) -> Any:
    import _socket  # the small one: importing socket costs 15 ms

    known = namespaces.netns_identity(netns)
    if known is None or known not in _open:
        with namespaces.inside_netns(netns):  # says what is wrong where there is none
            made = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
            made.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
            known = namespaces.netns_identity(HOST)
        if known is None:
            return made
        _open[known] = made
    return _open[known]


def _exchange(socket: Any, kind: int, flags: int, body: bytes) -> tuple[list[bytes], bool]:
    """The answers, and whether nothing changed while they were written."""
    global _sequence
    _sequence += 1
    socket.send(_HEADER.pack(16 + len(body), kind, flags, _sequence, 0) + body)
    answers: list[bytes] = []
    whole = True
    # A list ends with a message of its own; of anything else there is one answer, which is an error or what was asked.
    while True:
        for answer, marks, content in _messages(socket.recv(_BUFFER), _sequence):
            if answer in (_ERROR, _DONE):
                code = -int.from_bytes(content[:4], _ORDER, signed=True) if len(content) >= 4 else 0
                if code:
                    raise _Refused(code, _words(answer, marks, content))
                return answers, whole
            whole = whole and not marks & _DUMP_INTR
            answers.append(content)
            if not flags & (DUMP | ACK):
                return answers, whole


def _messages(data: bytes, sequence: int) -> Iterator[tuple[int, int, bytes]]:
    """Kind, flags and content of each message; answers to an earlier question, which was given up, are left out."""
    start, end = 0, len(data)
    while start + 16 <= end:
        length, kind, flags, number_, _port = _HEADER.unpack_from(data, start)
        if length < 16:
            return
        if number_ == sequence:
            yield kind, flags, data[start + 16 : start + length]
        start += (length + 3) & ~3


def _words(answer: int, marks: int, content: bytes) -> str:
    """What the kernel says beside the number of an error."""
    if answer != _ERROR or not marks & _ACK_TLVS:
        return ""
    # The code, and the message that was refused: its header alone where it is capped.
    refused = 16 if marks & _CAPPED else int.from_bytes(content[4:8], _ORDER)
    return text(attributes(content, 4 + ((refused + 3) & ~3)).get(_ERROR_MESSAGE))
