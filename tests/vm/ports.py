# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Free ports and a segment of one's own, picked at run time."""

from __future__ import annotations

import random
import socket

#: What QEMU says when someone took the port between the pick and its start (net/slirp.c).
TAKEN = "Could not set up host forwarding rule"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has right now; whoever uses it must be ready to pick again."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def was_taken(qemu_output: str) -> bool:
    """True if QEMU's words say that a forwarded port was taken."""
    return TAKEN in qemu_output


def segment(source: random.Random) -> str:
    """GROUP:PORT of the multicast segment that joins one run's machines.

    A group of the administratively scoped block (RFC 2365) by chance: 2^22 groups times 16384 ports, so that two runs
    on one machine do not meet. Multicast sockets share their port, so nothing would tell them that they did.
    """
    group = source.getrandbits(22)
    port = 49152 + source.getrandbits(14)
    return f"239.{192 + (group >> 16)}.{group >> 8 & 255}.{group & 255}:{port}"
