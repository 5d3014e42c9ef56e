# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Output of a program that we do not trust to end: its beginning and its end are kept, and how much was between."""

from __future__ import annotations


class Bounded:
    """Takes any number of bytes and holds ``most`` of them (and as many again while it takes them)."""

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._first, self._last = bytearray(), bytearray()
        self.omitted = 0

    def feed(self, data: bytes) -> None:
        room = self._half - len(self._first)
        self._first += data[:room]
        self._last += data[room:]
        if len(self._last) > 2 * self._half:
            self._forget()

    def _forget(self) -> None:
        excess = max(0, len(self._last) - self._half)
        self.omitted += excess
        del self._last[:excess]

    def __bytes__(self) -> bytes:
        """What was kept; where something was left out, with a line that says how many bytes."""
        self._forget()
        between = b"\n[%d bytes left out]\n" % self.omitted if self.omitted else b""
        return bytes(self._first) + between + bytes(self._last)
