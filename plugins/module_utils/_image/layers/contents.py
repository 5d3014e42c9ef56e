# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A digest of a file's content that takes no time for its holes, however large they are."""

from __future__ import annotations

import errno
import hashlib
import os

_BLOCK = 1 << 20


class Content:
    """The digest of a content whose parts come in order: of each block that is not all zeros, and where it is.

    So a hole has the digest of the zeros that are read from it.
    """

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()
        self._start = 0
        self._block = bytearray()

    def add(self, offset: int, part: bytes) -> None:
        """The bytes at that offset; what lies between them and the part before is zeros."""
        view = memoryview(part)
        while view:
            start = offset - offset % _BLOCK
            if start != self._start:
                self._end_block()
                self._start = start
            self._block.extend(bytes(offset - start - len(self._block)))
            taken = min(len(view), start + _BLOCK - offset)
            self._block += view[:taken]
            view = view[taken:]
            offset += taken

    def _end_block(self) -> None:
        content = bytes(self._block).rstrip(b"\0") if self._block[-1:] == b"\0" else bytes(self._block)
        if content:
            self._hasher.update(b"%d %d\0" % (self._start, len(content)))
            self._hasher.update(content)
        self._block.clear()

    def digest(self, size: int) -> str:
        """Of a file of that size, of which everything has come."""
        self._end_block()
        self._hasher.update(b"%d" % size)
        return self._hasher.hexdigest()


def digest_of(fd: int) -> str:
    """The same of a file that is there; only what it has blocks for is read, lseek(2). Raises OSError."""
    content, at = Content(), 0
    while True:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole follows
                raise
            return content.digest(os.fstat(fd).st_size)
        part = os.pread(fd, _BLOCK, at)
        content.add(at, part)
        at += len(part)
