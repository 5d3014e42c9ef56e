# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service tells systemd of itself. Apart from systemd.py, as the launcher has no time for its imports."""

from __future__ import annotations

import os


def notify(message: str) -> None:
    """sd_notify(3). Silent where nobody listens. Raises OSError."""
    import _socket

    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    handle = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        handle.connect("\0" + address[1:] if address.startswith("@") else address)
        handle.send(message.encode())
    finally:
        handle.close()
