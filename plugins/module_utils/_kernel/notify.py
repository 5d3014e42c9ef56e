# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service tells systemd of itself. Apart from systemd.py, as the launcher has no time for its imports."""

from __future__ import annotations

import errno
import os
import select
import sys

#: Seconds that systemd may take for what it is told; it is slow at boot, and dead after that.
PATIENCE = 60.0


def notify(message: str) -> None:
    """sd_notify(3). Silent where nobody listens. Raises OSError."""
    _send(message)


def barrier(seconds: float = PATIENCE) -> None:
    """Return when systemd has acted on all that was sent before (sd_notify(3), BARRIER=1).

    It closes the descriptor that comes with the message when its turn comes. Silent where nobody listens. Raises
    OSError, ETIMEDOUT where it does not happen within that time.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            _send("BARRIER=1", writer)
        finally:
            os.close(writer)
        poll = select.poll()
        poll.register(reader, 0)  # POLLHUP alone: nobody has the other end any more
        if not poll.poll(int(seconds * 1000)):
            raise OSError(errno.ETIMEDOUT, f"systemd did not take the notification within {seconds:g} seconds")
    finally:
        os.close(reader)


def _send(message: str, fd: int | None = None) -> None:
    """One datagram, with a descriptor where one is given."""
    import _socket

    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    handle = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        handle.connect("\0" + address[1:] if address.startswith("@") else address)
        rights = [] if fd is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
        handle.sendmsg([message.encode()], rights)
    finally:
        handle.close()
