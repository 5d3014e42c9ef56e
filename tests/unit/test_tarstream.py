# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tar read by hand says what Python's tarfile says, and damaged tar says no."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import HostileLayer
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers import tarstream
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers.layer import clean
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers.stream import LayerStream
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers.tarwriter import TarWriter
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {
    tarfile.REGTYPE: tarstream.FILE,
    tarfile.DIRTYPE: tarstream.DIRECTORY,
    tarfile.SYMTYPE: tarstream.SYMLINK,
    tarfile.LNKTYPE: tarstream.HARDLINK,
    tarfile.CHRTYPE: tarstream.CHAR,
    tarfile.BLKTYPE: tarstream.BLOCK_DEVICE,
    tarfile.FIFOTYPE: tarstream.FIFO,
}


def read(content: bytes, limit: int = 1 << 30) -> list[tuple[tarstream.Entry, bytes]]:
    """Every entry with its data."""
    stream = LayerStream(io.BytesIO(content), limit)
    found = []
    try:
        for entry in tarstream.entries(stream):
            data = stream.read(entry.stored)
            stream.read(tarstream.padded(entry.stored))
            found.append((entry, data))
        stream.finish()
    finally:
        stream.close()
    return found


names = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120)
members = st.builds(
    lambda parts, kind, data, link, mode, uid, mtime: (
        ("/".join(parts), kind, data if kind == tarfile.REGTYPE else b"", link, mode, uid, mtime)
    ),
    st.lists(names, min_size=1, max_size=3),
    st.sampled_from(sorted(KINDS)),
    st.binary(max_size=1500),
    st.text(alphabet="ab/.é", min_size=1, max_size=150),
    st.integers(0, 0o7777),
    st.integers(0, 2**32 - 2),
    st.integers(0, 2**34),
)


@given(st.lists(members, max_size=5), st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_it_reads_what_tarfile_wrote(given: list[tuple[Any, ...]], form: int) -> None:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=form, encoding="utf-8") as archive:
        for name, kind, data, link, mode, uid, mtime in given:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mode, info.uid, info.mtime = kind, len(data), mode, uid, mtime
            info.linkname = link if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(data))
    found = read(output.getvalue())
    assert len(found) == len(given)
    for (entry, content), (name, kind, data, link, mode, uid, mtime) in zip(found, given):
        assert clean(entry.name) == clean(name.encode()) if ".." not in name.split("/") else True
        assert (entry.kind, entry.mode, entry.uid) == (KINDS[kind], mode, uid)
        assert (content, entry.mtime_ns) == (data, mtime * 10**9)
        if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            assert entry.linkname == link.encode()


@pytest.mark.parametrize("length", range(95, 106))
def test_a_long_name_that_is_cut_after_a_slash_is_still_a_file(length: int) -> None:
    """The old header holds the first 100 bytes; a slash there does not make a directory of it."""
    name = "d" * (length - 1) + "/file"
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"data"))
    [(entry, data)] = read(output.getvalue())
    assert (entry.kind, entry.name, data) == (tarstream.FILE, name.encode(), b"data")


@given(st.binary(max_size=2000))
def test_noise_is_refused_or_empty(noise: bytes) -> None:
    with contextlib.suppress(HostileLayer):
        assert all(entry.kind in range(7) for entry, _data in read(noise, 1 << 20))


def one_file(**attributes: Any) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("file")
        for key, value in attributes.items():
            setattr(info, key, value)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    return output.getvalue()


def test_times_are_exact_to_the_nanosecond() -> None:
    [(entry, _data)] = read(one_file(pax_headers={"mtime": "1234567890.123456789"}))
    assert entry.mtime_ns == 1_234_567_890_123_456_789
    [(entry, _data)] = read(one_file(pax_headers={"mtime": "-1.5"}))
    assert entry.mtime_ns == -1_500_000_000


def header(kind: bytes, size: int, fields: dict[int, bytes] | None = None) -> bytes:
    """A ustar header by hand; ``fields`` are bytes by their place in it."""
    block = bytearray(512)
    for at, value in {0: b"file", 124: b"%011o" % size, 156: kind, 257: b"ustar\x0000", **(fields or {})}.items():
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def records(kind: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    """A pax header with those records."""
    payload = b""
    for key, value in pairs:
        length = len(key) + len(value) + 3
        while len(b"%d" % length) + len(key) + len(value) + 3 != length:
            length = len(b"%d" % length) + len(key) + len(value) + 3
        payload += b"%d %s=%s\n" % (length, key, value)
    return header(kind, len(payload)) + payload + bytes(-len(payload) % 512)


def sparse_pieces(*pieces: tuple[bytes, bytes]) -> bytes:
    """A file of GNU's pax sparse format 0.0: three bytes are stored, the map has those pieces."""
    pairs = ((b"GNU.sparse." + key, value) for key, value in ((b"size", b"3"), *pieces))
    return records(b"x", *pairs) + header(b"0", 3) + b"xyz" + bytes(509)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (one_file()[:700], "middle of an entry"),
        (one_file()[:100], "middle of an entry"),
        (b"x" * 512 + one_file(), "no number|checksum"),
        (one_file(pax_headers={"mtime": "now"}), "no number"),
        (one_file(pax_headers={"GNU.sparse.map": "0,9", "GNU.sparse.size": "3"}), "sparse"),
        (one_file(pax_headers={"GNU.sparse.map": "2,1,0,2", "GNU.sparse.size": "3"}), "sparse"),
        (one_file(pax_headers={"GNU.sparse.map": "0,3,3", "GNU.sparse.size": "3"}), "sparse"),
        (sparse_pieces((b"offset", b"0"), (b"numbytes", b"9")), "sparse"),
        (sparse_pieces((b"offset", b"0"), (b"numbytes", b"3"), (b"offset", b"3")), "sparse"),
        (sparse_pieces((b"numbytes", b"0"), (b"offset", b"3")), "sparse"),
        (sparse_pieces((b"offset", b"0"), (b"offset", b"3")), "sparse"),
        (sparse_pieces((b"offset", b"0,3"), (b"numbytes", b"3")), "sparse"),
        (gzip.compress(one_file(), mtime=0)[:-9], "cut short"),
        (gzip.compress(one_file(), mtime=0)[:40], "cut short"),
        (gzip.compress(one_file(), mtime=0) + b"junk", "damaged"),
        (gzip.compress(one_file(), mtime=0)[:-6] + b"xxxxxx", "damaged"),
        (lzma.compress(one_file())[:-9], "cut short"),
        (bz2.compress(one_file())[:-9], "cut short"),
    ],
)
def test_damage_is_named(content: bytes, says: str) -> None:
    with pytest.raises(HostileLayer, match=says):
        read(content)


FILE = header(b"0", 0)
BASE_256 = b"\x80" + b"\x7f" * 11


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (records(b"x", (b"mtime", b"9" * 30)) + FILE, "'file': its time"),
        (records(b"x", (b"mtime", b"-" + b"9" * 30)) + FILE, "'file': its time"),
        (header(b"0", 0, {136: BASE_256}), "'file': its time"),
        (header(b"3", 0, {329: BASE_256[:8]}), "'file': .* is no device number"),
        (header(b"3", 0, {329: b"0010000"}), "'file': 4096:0 is no device number"),
        (records(b"x", (b"SCHILY.xattr.user.a\0b", b"1")) + FILE, "'file': a NUL byte"),
        (
            records(b"x", (b"GNU.sparse.map", b"0,0"), (b"GNU.sparse.size", b"1" + b"0" * 19)) + FILE,
            "'file': no file can have 10000000000000000000 bytes",
        ),
        (records(b"x", (b"path", b"n" * 100_000 + b"\0")) + FILE, r"n'\.\.\.: a NUL byte"),
    ],
)
def test_what_no_file_can_have(content: bytes, says: str) -> None:
    with pytest.raises(HostileLayer, match=says) as caught:
        read(content)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda kind: b"".join(records(kind, (b"%d" % n, bytes(1 << 20))) for n in range(9)), "more than .* records"),
        (lambda kind: records(kind, *((b"%d" % n, b"") for n in range(100_000))), "more than .* records"),
        (lambda kind: records(kind, (b"k", b"v")) * 17, "more than 16 tar headers for one entry"),
    ],
)
@pytest.mark.parametrize("kind", [b"x", b"g"])
def test_headers_do_not_pile_up(content: Any, says: str, kind: bytes) -> None:
    """Megabytes of them are a few kilobytes of gzip."""
    with pytest.raises(HostileLayer, match=says):
        read(gzip.compress(content(kind) + FILE, 1))


def test_headers_for_all_do_not_pile_up_between_entries() -> None:
    """Those that say the same again take no more room."""
    again = records(b"g", (b"comment", b"c" * 1000)) + FILE
    assert len(read(again * 2000)) == 2000
    with pytest.raises(HostileLayer, match="more than 1048576 bytes of records"):
        read(b"".join(records(b"g", (b"%d" % n, b"c" * 1000)) + FILE for n in range(2000)))


def test_compressions_and_members() -> None:
    plain = one_file()
    half = len(plain) // 2
    for packed in (
        plain,
        gzip.compress(plain),
        gzip.compress(plain[:half]) + gzip.compress(plain[half:]) + bytes(512),
        lzma.compress(plain[:half]) + lzma.compress(plain[half:]),
        bz2.compress(plain),
    ):
        [(_entry, data)] = read(packed)
        assert data == b"abc"


def test_a_bomb_is_stopped_while_it_unpacks() -> None:
    with pytest.raises(HostileLayer, match="more than 1048576 bytes"):
        read(gzip.compress(bytes(1 << 26)), 1 << 20)
    with pytest.raises(HostileLayer, match="more than 1048576 bytes"):
        read(gzip.compress(one_file() + bytes(1 << 26)), 1 << 20)


def test_nothing_is_a_layer_too() -> None:
    assert read(b"") == read(bytes(1024)) == []


@settings(max_examples=25)
@given(st.lists(st.tuples(names, st.binary(max_size=700)), max_size=6, unique_by=lambda pair: pair[0]))
def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory, given: list[tuple[str, bytes]]) -> None:
    root = tmp_path_factory.mktemp("tree")
    expected = {}
    for name, content in given:
        if name in (".", "..") or name.startswith(".wh.") or len(name.encode()) > 255:
            continue
        (root / name).write_bytes(content)
        expected[name.encode()] = content
    output = io.BytesIO()
    written = TarWriter(output).write_tree(str(root))
    found = {entry.name: (entry, data) for entry, data in read(output.getvalue())}
    assert {name: data for name, (entry, data) in found.items() if entry.kind == tarstream.FILE} == expected
    for name, (entry, _data) in found.items():
        status = Path(root, name.decode()).lstat()
        assert entry.mtime_ns == status.st_mtime_ns and entry.mode == status.st_mode & 0o7777
    # Only hashing gives the same digest, and so does tarfile's reading.
    assert TarWriter(None).write_tree(str(root)) == written
    output.seek(0)
    with tarfile.open(fileobj=output) as archive:
        assert {m.name for m in archive.getmembers() if m.isfile()} == {name.decode() for name in expected}


def test_a_hole_is_written_as_zeros(tmp_path: Path) -> None:
    """As engines of Go can write it again: one of less than a GiB."""
    with open(tmp_path / "file", "wb") as handle:
        handle.seek(1 << 20)
        handle.write(b"end")
        handle.truncate(1 << 21)
    output = io.BytesIO()
    written = TarWriter(output).write_tree(str(tmp_path))
    found = {entry.name: (entry, data) for entry, data in read(output.getvalue())}
    entry, data = found[b"file"]
    assert entry.sparse is None and data == (tmp_path / "file").read_bytes()
    # With or without holes it is the same layer.
    status = (tmp_path / "file").stat()
    (tmp_path / "file").write_bytes(data)
    os.utime(tmp_path / "file", ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert TarWriter(None).write_tree(str(tmp_path)).diff_id == written.diff_id


def test_a_large_hole_takes_no_room(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as handle:
        handle.truncate(1 << 30)
        handle.seek(2 << 30)
        handle.write(b"end")
    output = io.BytesIO()
    assert TarWriter(output).write_tree(str(tmp_path)).size < 1 << 20
    entry = {entry.name: entry for entry, _data in read(output.getvalue())}[b"file"]
    assert entry.size == (2 << 30) + 3 and entry.sparse is not None and entry.sparse[-1][0] >= (2 << 30) - (1 << 20)
