# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one thing a new network namespace needs before its first process: its loopback. netdevice(7)."""

from __future__ import annotations

import fcntl
import struct

from .errors import KernelError


def interface_up(name: str) -> None:
    """Set an interface of the calling thread's netns up (netdevice(7)): what a new loopback needs, without netlink."""
    import _socket  # the small one: importing socket costs 15 ms

    handle = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        request = struct.pack("16sH22x", name.encode(), 0)
        flags = struct.unpack("16xH22x", fcntl.ioctl(handle.fileno(), 0x8913, request))[0]
        fcntl.ioctl(handle.fileno(), 0x8914, struct.pack("16sH22x", name.encode(), flags | 0x1))
    except OSError as error:
        raise KernelError.wrap(error, "ioctl SIOCSIFFLAGS", name) from error
    finally:
        handle.close()
