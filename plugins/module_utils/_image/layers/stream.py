# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A layer blob as a stream of tar: decompressed in a thread of its own, both digests taken on the way.

zlib, lzma and hashlib let go of the interpreter while they work, so decompression and hashing run beside the thread
that creates files.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import subprocess
import threading
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..._kernel import spawn
from ..errors import HostileLayer, ImageError

_READ = 1 << 18
#: Bytes that come at once at most.
CHUNK = 1 << 19
_WAITING = 8


def compression_of(start: bytes) -> str:
    """By the first bytes, as every engine does: media types are often wrong about it."""
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    if start.startswith(b"\x28\xb5\x2f\xfd") or start[1:4] == b"\x2a\x4d\x18" and 0x50 <= start[0] <= 0x5F:
        return "zstd"
    if start.startswith(b"\xfd7zXZ\0"):
        return "xz"
    if start.startswith(b"BZh"):
        return "bzip2"
    return "none"


class LayerStream:
    """Reads a blob: read(n) gives exactly n bytes of tar. After finish() the digests are known.

    ``limit`` is the number of uncompressed bytes after which the layer is taken for a bomb.
    """

    def __init__(self, blob: BinaryIO, limit: int, on_bytes: Any = None) -> None:
        self._blob = blob
        self._limit = limit
        self._on_bytes = on_bytes
        self._blob_hash, self._tar_hash = hashlib.sha256(), hashlib.sha256()
        self._queue: queue.Queue[bytes | Exception | None] = queue.Queue(_WAITING)
        self._stop = threading.Event()
        self._buffer, self._at = b"", 0
        self._ended = False
        #: Whether at_end() was ever true: of an archive whose end is marked it is not before finish().
        self.ran_out = False
        self.compression = "none"
        self.blob_size = self.tar_size = 0
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._thread.start()

    @property
    def blob_digest(self) -> str:
        return "sha256:" + self._blob_hash.hexdigest()

    @property
    def diff_id(self) -> str:
        return "sha256:" + self._tar_hash.hexdigest()

    def read(self, size: int) -> bytes:
        """Exactly that many bytes. Raises HostileLayer where the stream is shorter."""
        at, buffer = self._at, self._buffer
        if len(buffer) - at >= size:
            self._at = at + size
            return buffer[at : at + size]
        parts = [buffer[at:]]
        missing = size - len(parts[0])
        while missing:
            if not self._next():
                raise HostileLayer("the layer ends in the middle of an entry")
            part = self._buffer[:missing]
            self._at = len(part)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def read_some(self, most: int) -> bytes:
        """At least one and at most that many bytes, without joining what was read in pieces."""
        if self._at >= len(self._buffer) and not self._next():
            raise HostileLayer("the layer ends in the middle of an entry")
        at = self._at
        if at == 0 and len(self._buffer) <= most:
            self._at = len(self._buffer)
            return self._buffer
        self._at = min(len(self._buffer), at + most)
        return self._buffer[at : self._at]

    def at_end(self) -> bool:
        self.ran_out = self._at >= len(self._buffer) and not self._next()
        return self.ran_out

    def finish(self) -> None:
        """Read what follows the archive's end (padding), so that the digests cover everything."""
        while self._next():
            pass
        self._thread.join()

    def close(self) -> None:
        """End the thread, whatever state it is in."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _next(self) -> bool:
        """The next non-empty chunk becomes the buffer; False at the end."""
        if self._ended:
            self._buffer, self._at = b"", 0
            return False
        item = self._queue.get()
        if isinstance(item, Exception):
            self._ended = True
            raise item
        self._buffer, self._at = item or b"", 0
        self._ended = item is None
        return item is not None

    def _produce(self) -> None:
        try:
            for chunk in self._decompressed():
                self.tar_size += len(chunk)
                if self.tar_size > self._limit:
                    raise HostileLayer(
                        f"the layer unpacks to more than {self._limit} bytes", "Raise max_size if it is meant to"
                    )
                self._tar_hash.update(chunk)
                self._queue.put(chunk)
                if self._stop.is_set():
                    return
            self._queue.put(None)
        except Exception as error:  # handed to the reader, whose thread decides
            self._queue.put(error)

    def _compressed(self) -> Iterator[bytes]:
        while chunk := self._blob.read(_READ):
            self._blob_hash.update(chunk)
            self.blob_size += len(chunk)
            if self._on_bytes is not None:
                self._on_bytes(self.blob_size)
            yield chunk

    def _decompressed(self) -> Iterator[bytes]:
        chunks = self._compressed()
        first = next(chunks, b"")
        self.compression = compression_of(first)
        if self.compression == "gzip":
            return _gunzip(first, chunks)
        if self.compression in ("xz", "bzip2"):
            return _unpack_members(first, chunks, self.compression)
        if self.compression == "zstd":
            return _through_zstd(first, chunks)
        return _plain(first, chunks)


def _plain(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from chunks


def _gunzip(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip file. Zeros after the last are padding, anything else is damage."""
    decoder = zlib.decompressobj(31)
    try:
        for chunk in _plain(first, chunks):
            while chunk:
                if decoder.eof:  # pylint: disable=using-constant-test
                    chunk = chunk.lstrip(b"\0")
                    if not chunk:
                        break
                    decoder = zlib.decompressobj(31)
                # Bounded: a small chunk of a bomb becomes gigabytes at once.
                if out := decoder.decompress(chunk, CHUNK):
                    yield out
                chunk = decoder.unconsumed_tail or decoder.unused_data
        while not decoder.eof:
            if not (out := decoder.decompress(b"", CHUNK)):
                raise HostileLayer("the layer's gzip stream is cut short")
            yield out
    except zlib.error as error:
        raise HostileLayer(f"the layer's gzip stream is damaged: {error}") from None


def _unpack_members(first: bytes, chunks: Iterator[bytes], kind: str) -> Iterator[bytes]:
    import bz2
    import lzma

    def new() -> Any:
        # 512 MiB: what xz -9 of a hostile dictionary size may take.
        return lzma.LZMADecompressor(memlimit=512 << 20) if kind == "xz" else bz2.BZ2Decompressor()

    decoder = new()
    try:
        for chunk in _plain(first, chunks):
            while chunk or not (decoder.eof or decoder.needs_input):
                if decoder.eof:  # pylint: disable=using-constant-test
                    chunk = chunk.lstrip(b"\0")
                    if not chunk:
                        break
                    decoder = new()
                if out := decoder.decompress(chunk, CHUNK):
                    yield out
                chunk = decoder.unused_data if decoder.eof else b""  # pylint: disable=using-constant-test
        if not decoder.eof:
            raise HostileLayer(f"the archive's {kind} stream is cut short")
    except (lzma.LZMAError, OSError, EOFError) as error:
        raise HostileLayer(f"the archive's {kind} stream is damaged: {error}") from None


def _through_zstd(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """zstd(1): Python has none before 3.14."""
    command = ["zstd", "-dcq", "--memory=512MB"]
    try:
        process: Any = spawn.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise ImageError("zstd is not installed, and the layer is compressed with it", "Install package zstd") from None
    feeder = threading.Thread(target=_feed, args=(process.stdin, first, chunks), daemon=True)
    feeder.start()
    try:
        while chunk := process.stdout.read(CHUNK):
            yield chunk
        message = process.stderr.read().decode("utf-8", "replace").strip()
        feeder.join()
        if process.wait() != 0:
            raise HostileLayer(f"the layer's zstd stream is damaged: {message}")
    finally:
        process.kill()
        process.wait()
        feeder.join()
        process.stdout.close()
        process.stderr.close()


def _feed(pipe: Any, first: bytes, chunks: Iterator[bytes]) -> None:
    try:
        for chunk in _plain(first, chunks):
            pipe.write(chunk)
    except (BrokenPipeError, ValueError):
        for _chunk in chunks:  # zstd gave up; its exit status says why, the blob's digest is still taken
            pass
    finally:
        with contextlib.suppress(OSError):
            pipe.close()
