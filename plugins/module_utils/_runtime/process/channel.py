# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages between the runtime and the process that becomes the container's init."""

from __future__ import annotations

import _socket  # the small one: importing socket costs 15 ms
import array
import json
from typing import Any

from ..errors import RuntimeFailure

_LARGEST = 65536
#: Characters; in JSON one takes 12 bytes at most (a surrogate pair).
_LONGEST_TEXT = 4096


class Channel:
    """One end of a socket pair that keeps message boundaries. Closed by exec; end of file means that it happened."""

    def __init__(self, handle: Any) -> None:
        self._socket = handle

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two connected ends, both close-on-exec."""
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        one, other = _socket.socketpair(_socket.AF_UNIX, kind, 0)
        return cls(one), cls(other)

    def fileno(self) -> int:
        return int(self._socket.fileno())

    def send(self, kind: str, value: Any = None) -> None:
        """Tell the other end; of a long error its beginning. Raises OSError(EPIPE) where there is none any more."""
        self._socket.send(json.dumps([kind, _cut(value)]).encode(), _socket.MSG_NOSIGNAL)

    def send_process(self, kind: str, pid: int, pidfd: int) -> None:
        """Tell the other end of a process: its PID, and the pidfd that clone3(2) gave for it."""
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [pidfd]))]
        self._socket.sendmsg([json.dumps([kind, pid]).encode()], rights, _socket.MSG_NOSIGNAL)

    def receive(self) -> tuple[str, Any]:
        """The next message; ("", None) when the other end is closed. Of a process the value is (PID, pidfd)."""
        space = _socket.CMSG_SPACE(4)
        raw, rights, _flags, _address = self._socket.recvmsg(_LARGEST, space, _socket.MSG_CMSG_CLOEXEC)
        if not raw:
            return "", None
        kind, value = json.loads(raw)
        return kind, (value, int(array.array("i", rights[0][2][:4])[0])) if rights else value

    def expect(self, wanted: str, who: str) -> Any:
        """The value of the next message, which must be of that kind. Raises RuntimeFailure with the other's error."""
        kind, value = self.receive()
        if kind == wanted:
            return value
        if kind == "error":
            raise RuntimeFailure(str(value))
        raise RuntimeFailure(f"{who} ended before it was ready ({kind or 'no message'})")

    def close(self) -> None:
        self._socket.close()


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value[:_LONGEST_TEXT] + "..." if isinstance(value, str) and len(value) > _LONGEST_TEXT else value
