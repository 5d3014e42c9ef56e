# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading tar as a stream: ustar, GNU and pax headers, GNU sparse files, xattrs.

By hand, as tarfile spends most of its time on what a layer does not need (see docs/architecture.md, layers), hides
sparse maps and raw bytes, and cannot be told to refuse what is malformed. Formats: POSIX pax(1), GNU tar's manual
"Basic Tar Format" and "Storing Sparse Files".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from ..errors import HostileLayer, shown

BLOCK = 512
_ZERO = bytes(BLOCK)
#: The records before an entry (long names, xattrs) may not grow without bound; the kernel's largest xattr is 64 KiB.
MAX_RECORDS = 8 << 20
#: Nor may those for all entries: tools write a comment there. They are gone through for every entry.
MAX_SHARED = 1 << 20
#: What a record takes beside its own bytes.
_RECORD_COST = 128
#: Headers that say something about the entry that follows: of each kind one, and some patience.
MAX_HEADERS = 16
MAX_SPARSE_PARTS = 1 << 20
#: What off_t, time_t and a device number of Linux can hold (kernel: include/linux/kdev_t.h, new_encode_dev).
_MAX_SIZE = (1 << 63) - 1
_MAX_TIME_NS = ((1 << 63) - 1) * 1_000_000_000
_MAX_DEVICE = ((1 << 12) - 1, (1 << 20) - 1)
#: GNU's pax records of a sparse file: 0.1 has the map in one, 0.0 in many of the same names, and their order counts.
_SPARSE_MAP = b"GNU.sparse.map"
_SPARSE_PAIR = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_REGULAR = (b"0", b"\0", b"7", b"S")

FILE, HARDLINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO = range(7)
#: GNU's headers of a long name and a long link target, and the record that each stands for.
_LONG = {b"L": b"path", b"K": b"linkpath"}
_KINDS = {b"1": HARDLINK, b"2": SYMLINK, b"3": CHAR, b"4": BLOCK_DEVICE, b"5": DIRECTORY, b"6": FIFO}


class Source(Protocol):
    """A stream of bytes: read(n) gives exactly n, or raises."""

    def read(self, size: int) -> bytes: ...

    def at_end(self) -> bool: ...


class Entry:
    """One member. ``size`` is the file's own size; ``stored`` the bytes of data that follow in the stream,
    which are ``sparse`` parts of (offset, length) where that is not None."""

    __slots__ = (
        "devmajor", "devminor", "gid", "kind", "linkname", "mode", "mtime_ns", "name", "size", "sparse", "stored",
        "uid", "xattrs",
    )  # fmt: skip

    name: bytes
    linkname: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    size: int
    stored: int
    mtime_ns: int
    devmajor: int
    devminor: int
    sparse: list[tuple[int, int]] | None
    xattrs: dict[str, bytes]


def entries(source: Source) -> Iterator[Entry]:
    """The members in order. The caller must consume each one's data (see padded) before asking for the next.

    Raises HostileLayer for a damaged or malformed archive.
    """
    shared, records = _Records(MAX_SHARED), _Records(MAX_RECORDS)
    headers = 0
    while True:
        if source.at_end():
            return  # archives without their two empty blocks exist; what was cut shows in the digest
        header = source.read(BLOCK)
        if header == _ZERO:
            return
        kind = header[156:157]
        size = _checked(header)
        headers += 1
        if headers > MAX_HEADERS:
            raise HostileLayer(f"more than {MAX_HEADERS} tar headers for one entry")
        if kind == b"x":
            records.add(_pax(_payload(source, size)))
        elif kind == b"g":
            shared.add(_pax(_payload(source, size)))
        elif kind in (b"L", b"K"):
            records.add([(_LONG[kind], _payload(source, size).rstrip(b"\0"))])
        else:
            yield _entry(source, header, kind, size, {**shared.all(), **records.all()} if shared else records.all())
            if headers > 1:
                records = _Records(MAX_RECORDS)
            headers = 0


class _Records:
    """Records of headers that came one after the other, bounded as a whole."""

    def __init__(self, limit: int) -> None:
        self._values: dict[bytes, bytes] = {}
        self._map: list[bytes] = []
        self._limit = limit
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._values or self._map)

    def all(self) -> Mapping[bytes, bytes]:
        """The records by name; a sparse map that came in pieces as the one record that later formats have."""
        return {**self._values, _SPARSE_MAP: b",".join(self._map)} if self._map else self._values

    def add(self, more: Iterable[tuple[bytes, bytes]]) -> None:
        """A later record wins. Raises HostileLayer."""
        for key, value in more:
            had = self._values.get(key)
            self._size += len(value) - len(had) if had is not None else _RECORD_COST + len(key) + len(value)
            if self._size > self._limit:
                raise HostileLayer(f"tar headers hold more than {self._limit} bytes of records")
            if key in _SPARSE_PAIR:
                self._add_to_map(key, value)
            else:
                self._values[key] = value

    def _add_to_map(self, key: bytes, value: bytes) -> None:
        if key != _SPARSE_PAIR[len(self._map) % 2] or not value.isdigit():
            raise HostileLayer("a damaged sparse map")
        self._map.append(value)


def padded(size: int) -> int:
    """Data is padded to whole blocks."""
    return -size % BLOCK


def _payload(source: Source, size: int) -> bytes:
    if size > MAX_RECORDS:
        raise HostileLayer(f"a tar header claims {size} bytes of records, more than {MAX_RECORDS}")
    payload = source.read(size)
    source.read(padded(size))
    return payload


def _checked(header: bytes) -> int:
    """The header's size field, after its checksum was checked (old tars summed signed bytes)."""
    expected = _number(header[148:156], "checksum")
    total = sum(header) - sum(header[148:156]) + 8 * 32
    if total != expected and total - 256 * sum(1 for b in header[:148] + header[156:] if b > 127) != expected:
        raise HostileLayer("not a tar header: its checksum is wrong")
    return _number(header[124:136], "size")


def _number(field: bytes, what: str) -> int:
    """Octal text, or base-256 where the top bit is set (GNU)."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
    else:
        text = field.split(b"\0", 1)[0].strip(b" ")
        try:
            value = int(text, 8) if text else 0
        except ValueError:
            raise HostileLayer(f"a tar header's {what} is no number: {field!r}") from None
    if value < 0 and what != "mtime":
        raise HostileLayer(f"a tar header's {what} is negative")
    return value


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _pax(payload: bytes) -> Iterator[tuple[bytes, bytes]]:
    """``LENGTH KEY=VALUE\\n`` records."""
    position = 0
    while position < len(payload):
        space = payload.find(b" ", position, position + 20)
        digits = payload[position:space] if space > 0 else b""
        length = int(digits) if digits.isdigit() else 0
        record = payload[space + 1 : position + length]
        key, equals, value = record[:-1].partition(b"=")
        if length < 5 or position + length > len(payload) or not equals or record[-1:] != b"\n":
            raise HostileLayer("a pax record is malformed")
        yield key, value
        position += length


def _entry(source: Source, header: bytes, kind: bytes, size: int, records: Mapping[bytes, bytes]) -> Entry:
    entry = Entry()
    name = _text(header[0:100])
    ustar = header[257:263] == b"ustar\0"
    if ustar and header[345]:
        name = _text(header[345:500]) + b"/" + name
    entry.name, entry.linkname = name, _text(header[157:257])
    # A regular file whose name ends in a slash is a directory in archives from before ustar. The name in full: a long
    # one may be cut after a slash here.
    directory = kind in (b"0", b"\0") and records.get(b"path", name).endswith(b"/")
    entry.kind = DIRECTORY if directory else _kind(kind, name)
    entry.mode = _number(header[100:108], "mode") & 0o7777
    entry.uid, entry.gid = _number(header[108:116], "uid"), _number(header[116:124], "gid")
    entry.mtime_ns = _number(header[136:148], "mtime") * 1_000_000_000
    entry.devmajor = entry.devminor = 0
    if entry.kind in (CHAR, BLOCK_DEVICE):
        entry.devmajor, entry.devminor = _number(header[329:337], "devmajor"), _number(header[337:345], "devminor")
    entry.size = entry.stored = size if entry.kind == FILE else 0
    entry.sparse, entry.xattrs = None, {}
    if records:
        _apply(entry, records)
    if kind == b"S":
        _old_sparse(source, header, entry)
    elif b"GNU.sparse.major" in records or _SPARSE_MAP in records:
        _pax_sparse(source, records, entry)
    _check_ranges(entry)
    return entry


def _check_ranges(entry: Entry) -> None:
    """Raises HostileLayer for what no file can have."""
    wrong = ""
    if b"\0" in entry.name or b"\0" in entry.linkname or any("\0" in name for name in entry.xattrs):
        wrong = "a NUL byte in a name"
    elif entry.size > _MAX_SIZE:
        wrong = f"no file can have {entry.size} bytes"
    elif abs(entry.mtime_ns) > _MAX_TIME_NS:
        wrong = "its time is none that a file can have"
    elif entry.devmajor > _MAX_DEVICE[0] or entry.devminor > _MAX_DEVICE[1]:
        wrong = f"{entry.devmajor}:{entry.devminor} is no device number"
    if wrong:
        raise HostileLayer(f"entry {shown(entry.name)}: {wrong}")


def _kind(kind: bytes, name: bytes) -> int:
    if kind in _REGULAR:
        return FILE
    try:
        return _KINDS[kind]
    except KeyError:
        raise HostileLayer(f"entry {shown(name)}: unknown tar type {kind!r}") from None


def _apply(entry: Entry, records: Mapping[bytes, bytes]) -> None:
    """Pax records win over the header's fields."""
    for key, value in records.items():
        if key == b"path":
            entry.name = value
        elif key == b"linkpath":
            entry.linkname = value
        elif key == b"size":
            if entry.kind == FILE:
                entry.size = entry.stored = _decimal(value, "size")
        elif key == b"uid":
            entry.uid = _decimal(value, "uid")
        elif key == b"gid":
            entry.gid = _decimal(value, "gid")
        elif key == b"mtime":
            entry.mtime_ns = _nanoseconds(value)
        elif key.startswith(b"SCHILY.xattr."):
            entry.xattrs[key[13:].decode("utf-8", "surrogateescape")] = value


def _decimal(value: bytes, what: str) -> int:
    if not value.isdigit() or len(value) > 20:
        raise HostileLayer(f"a pax {what} is no number: {value[:40]!r}")
    return int(value)


def _nanoseconds(value: bytes) -> int:
    """Seconds with a fraction, exactly: a float keeps only about 100 ns."""
    text = value.lstrip(b"-")
    seconds, _point, fraction = text.partition(b".")
    if not (seconds + fraction).isdigit() or len(text) > 60:
        raise HostileLayer(f"a pax time is no number: {value[:40]!r}")
    total = int(seconds or b"0") * 1_000_000_000 + int((fraction + b"000000000")[:9])
    return -total if value.startswith(b"-") else total


def _old_sparse(source: Source, header: bytes, entry: Entry) -> None:
    """GNU type S: four parts in the header, further ones in blocks of 21."""
    parts, more = _sparse_parts(header[386:482]), header[482]
    while more:
        block = source.read(BLOCK)
        parts += _sparse_parts(block[:504])
        more = block[504]
        if len(parts) > MAX_SPARSE_PARTS:
            raise HostileLayer(f"entry {shown(entry.name)}: too many sparse parts")
    entry.size = _number(header[483:495], "real size")
    _set_sparse(entry, parts, entry.stored)


def _sparse_parts(field: bytes) -> list[tuple[int, int]]:
    parts = []
    for at in range(0, len(field) - 23, 24):
        if field[at] == 0:
            break
        parts.append((_number(field[at : at + 12], "sparse offset"), _number(field[at + 12 : at + 24], "sparse size")))
    return parts


def _pax_sparse(source: Source, records: Mapping[bytes, bytes], entry: Entry) -> None:
    """Pax sparse 0.0 and 0.1 (the map is a record) and 1.0 (the map stands before the data)."""
    entry.name = records.get(b"GNU.sparse.name", entry.name)
    size = records.get(b"GNU.sparse.realsize", records.get(b"GNU.sparse.size", b""))
    entry.size = _decimal(size, "sparse size")
    if _SPARSE_MAP in records:
        numbers = [_decimal(n, "sparse map") for n in records[_SPARSE_MAP].split(b",") if n]
    else:
        numbers = _map_before_data(source, entry)
    if len(numbers) % 2 or len(numbers) > 2 * MAX_SPARSE_PARTS:
        raise HostileLayer(f"entry {shown(entry.name)}: a damaged sparse map")
    _set_sparse(entry, list(zip(numbers[::2], numbers[1::2])), entry.stored)


def _map_before_data(source: Source, entry: Entry) -> list[int]:
    """Decimal lines, the first being the count of parts, padded to whole blocks."""
    blocks: list[bytes] = []
    wanted, lines = 1, 0
    while lines < wanted:
        blocks.append(source.read(BLOCK))
        if len(blocks) * BLOCK > min(entry.stored, MAX_RECORDS):
            raise HostileLayer(f"entry {shown(entry.name)}: a damaged sparse map")
        if not lines and b"\n" in blocks[-1]:
            wanted = 1 + 2 * _decimal(b"".join(blocks).split(b"\n", 1)[0], "sparse map")
        lines += blocks[-1].count(b"\n")
    entry.stored -= len(blocks) * BLOCK
    return [_decimal(line, "sparse map") for line in b"".join(blocks).split(b"\n")[1:wanted]]


def _set_sparse(entry: Entry, parts: list[tuple[int, int]], stored: int) -> None:
    """Parts must be in order, inside the file, and add up to the data that is there."""
    end = 0
    for offset, length in parts:
        if offset < end or offset + length > entry.size:
            raise HostileLayer(f"entry {shown(entry.name)}: a damaged sparse map")
        end = offset + length
    if sum(length for _offset, length in parts) != stored:
        raise HostileLayer(f"entry {shown(entry.name)}: a sparse map that does not fit its data")
    entry.sparse = [(offset, length) for offset, length in parts if length]


def skip(source: Any, entry: Entry) -> None:
    """Pass over a member's data."""
    left = entry.stored + padded(entry.stored)
    while left:
        left -= len(source.read(min(left, 1 << 20)))
