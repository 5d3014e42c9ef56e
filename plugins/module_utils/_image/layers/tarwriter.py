# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory becomes a layer's tar, the same bytes for the same directory.

Entries in byte order of their paths, owners as numbers, times as they are on disk to the nanosecond; what the old
header cannot hold goes into pax records. With ``overlay`` the directory is an overlayfs upper, whose whiteouts and
opaque directories are written the OCI way (layer.md).

The directory may be in use meanwhile. What goes before it is read is left out. What is mounted in it is not part of it,
unless ``into_mounts``: where something is mounted is an empty directory or file with the mode and the owner of that.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..._kernel import openat2, tree
from ..._kernel.errors import KernelError
from ..errors import ImageError, shown
from .overlay_marks import is_opaque, is_whiteout
from .policy import DEEPEST

_BLOCK = 512
_KEPT = ("user.", "security.capability", "system.posix_acl_access", "system.posix_acl_default")
#: O_NONBLOCK: what was a file a moment ago may be a FIFO by now, in a container that runs.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
#: A file is not followed to another mount.
_RESOLVE = openat2.RESOLVE_NO_XDEV | openat2.RESOLVE_NO_SYMLINKS
_COPY = 1 << 20
#: Bytes of holes from which on a file is written as a sparse one. Below it holes are written as zeros, as Docker does:
#: engines of Go read GNU's sparse form, but cannot write it, so that podman could load the image and never save or push
#: it. Above, whoever compresses or copies the layer would be busy with nothing (lastlog of a large user ID has 256 GB).
_SPARSE_FROM = 1 << 30


@dataclass
class Written:
    """What was written: the diff ID, its size in bytes, how many entries, and the newest file's time."""

    diff_id: str
    size: int
    entries: int
    newest_ns: int


class _NotWritten(Exception):
    """What is written to refused it, which is not to be taken for a refusal of what is read."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Output:
    """Counts and hashes; writes where there is somewhere to write to."""

    def __init__(self, handle: BinaryIO | None) -> None:
        self._handle = handle
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        if self._handle is not None:
            try:
                self._handle.write(data)
            except OSError as error:
                raise _NotWritten(error) from error

    def pad(self) -> None:
        self.write(bytes(-self.size % _BLOCK))

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


class TarWriter:
    """Writes one archive; with no handle only its digest is taken (what check mode needs)."""

    def __init__(
        self,
        handle: BinaryIO | None,
        overlay: bool = False,
        exclude: Iterable[bytes] = (),
        into_mounts: bool = False,
    ) -> None:
        self._output = _Output(handle)
        self._overlay = overlay
        self._into_mounts = into_mounts
        self._exclude = frozenset(path.strip(b"/") for path in exclude)
        self._links: dict[tuple[int, int], bytes] = {}
        self._entries = 0
        self._newest = 0

    def write_tree(self, path: str) -> Written:
        """Everything below ``path``, the root directory first.

        Raises KernelError for what cannot be read, ImageError, and OSError where it cannot be written.
        """
        try:
            root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise KernelError.wrap(error, "open", path) from error
        try:
            self._directory(root, b"", os.fstat(root))
            with contextlib.closing(tree.walk(root, DEEPEST, self._exclude, self._into_mounts)) as nodes:
                for node in nodes:
                    self._node(node)
            return self.finish()
        except _NotWritten as error:
            raise error.error from None
        except KernelError as error:
            raise KernelError(error.errno or 0, error.syscall, os.path.join(path, error.path or "")) from error
        except OSError as error:
            raise KernelError.wrap(error, "read", os.path.join(path, error.filename or "")) from error
        finally:
            os.close(root)

    def finish(self) -> Written:
        self._output.write(bytes(2 * _BLOCK))
        return Written(self._output.digest, self._output.size, self._entries, self._newest)

    def _directory(self, fd: int, path: bytes, status: os.stat_result) -> None:
        self._member(path, status, b"5", xattrs=_xattrs_of(fd))
        if self._overlay and _redirects(fd):
            raise ImageError(f"/{os.fsdecode(path)} was renamed with redirect_dir=on, which no layer can say")
        if self._overlay and is_opaque(fd):
            self._header((path + b"/" if path else b"") + b".wh..wh..opq", 0, b"0", 0, 0, 0, {})

    def _node(self, node: tree.Node) -> None:
        name, path, status = node.name, node.path, node.status
        mode = status.st_mode
        if node.depth > DEEPEST:
            raise ImageError(f"{shown(b'/' + path)} lies deeper than {DEEPEST} directories, which no layer may hold")
        if name.startswith(b".wh."):
            raise ImageError(f"{os.fsdecode(path)!r}: no layer can hold a name that begins with .wh.")
        if node.mounted:
            self._mount_point(node)
        elif stat.S_ISDIR(mode):
            self._directory(node.fd, path, status)
        elif self._overlay and is_whiteout(status):
            directory, slash, last = path.rpartition(b"/")
            self._header(directory + slash + b".wh." + last, 0, b"0", 0, 0, 0, {})
        elif stat.S_ISSOCK(mode):
            return  # a socket is nothing without the process that listens
        elif status.st_nlink > 1 and (first := self._links.get((status.st_dev, status.st_ino))) is not None:
            self._member(path, status, b"1", linkname=first)
        elif (self._file(node) if stat.S_ISREG(mode) else self._other(node)) and status.st_nlink > 1:
            self._links[(status.st_dev, status.st_ino)] = path

    def _mount_point(self, node: tree.Node) -> None:
        """With the time of the directory that it is in, as that of what is mounted changes for other reasons."""
        kind = b"5" if stat.S_ISDIR(node.status.st_mode) else b"0"
        self._member(node.path, node.status, kind, mtime_ns=os.fstat(node.parent).st_mtime_ns)

    def _other(self, node: tree.Node) -> bool:
        """Whether it was still there. Raises OSError."""
        through = b"/proc/self/fd/%d/%s" % (node.parent, node.name)
        xattrs, status = _xattrs_of(through), node.status
        if stat.S_ISLNK(status.st_mode):
            try:
                target = os.fsencode(os.readlink(node.name, dir_fd=node.parent))
            except OSError as error:
                if error.errno in (*tree.GONE, errno.EINVAL):  # it is something else by now
                    return False
                raise OSError(error.errno, os.strerror(error.errno or 0), os.fsdecode(node.path)) from error
            self._member(node.path, status, b"2", linkname=target, xattrs=xattrs)
        else:
            kind = {stat.S_IFCHR: b"3", stat.S_IFBLK: b"4"}.get(stat.S_IFMT(status.st_mode), b"6")
            self._member(node.path, status, kind, xattrs=xattrs, device=status.st_rdev)
        return True

    def _file(self, node: tree.Node) -> bool:
        """Whether it was still there. Raises OSError, ImageError."""
        path = node.path
        try:
            fd = openat2.openat2(node.parent, node.name, _OPEN, resolve=0 if self._into_mounts else _RESOLVE)
        except KernelError as error:
            if error.errno == errno.EXDEV:  # mounted on it is a file of the same file system
                self._mount_point(node)
                return True
            if error.errno in tree.GONE:
                return False
            raise KernelError(error.errno or 0, "open", path) from error
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(f"/{os.fsdecode(path)} became something else while it was read", "Run again")
            parts = _data_parts(fd, status)
            xattrs = _xattrs_of(fd)
            if self._overlay and "trusted.overlay.metacopy" in os.listxattr(fd):
                raise ImageError(f"/{os.fsdecode(path)} is a copy of its metadata alone (metacopy=on)")
            if parts is None:
                self._member(path, status, b"0", size=status.st_size, xattrs=xattrs)
                self._copy(fd, 0, status.st_size, path)
            else:
                self._sparse(fd, path, status, xattrs, parts)
        finally:
            os.close(fd)
        self._output.pad()
        return True

    def _sparse(
        self, fd: int, path: bytes, status: os.stat_result, xattrs: dict[str, bytes], parts: list[tuple[int, int]]
    ) -> None:
        """GNU's pax format 1.0: the map stands before the data."""
        numbers = [len(parts), *(number for part in parts for number in part)]
        table = b"".join(b"%d\n" % number for number in numbers)
        table += bytes(-len(table) % _BLOCK)
        directory, slash, name = path.rpartition(b"/")
        records = {
            b"GNU.sparse.major": b"1",
            b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": path,
            b"GNU.sparse.realsize": b"%d" % status.st_size,
        }
        stored = len(table) + sum(length for _offset, length in parts)
        shown = directory + slash + b"GNUSparseFile.0/" + name
        self._member(shown, status, b"0", size=stored, xattrs=xattrs, more=records)
        self._output.write(table)
        for offset, length in parts:
            self._copy(fd, offset, length, path)

    def _copy(self, fd: int, offset: int, length: int, path: bytes) -> None:
        while length:
            try:
                chunk = os.pread(fd, min(length, _COPY), offset)
            except OSError as error:
                raise KernelError.wrap(error, "read", path) from error
            if not chunk:
                hint = "Run again, or exclude it where it changes all the time"
                raise ImageError(f"/{os.fsdecode(path)} was cut short while it was read", hint)
            self._output.write(chunk)
            offset, length = offset + len(chunk), length - len(chunk)

    def _member(
        self,
        path: bytes,
        status: os.stat_result,
        kind: bytes,
        size: int = 0,
        linkname: bytes = b"",
        xattrs: dict[str, bytes] | None = None,
        device: int = 0,
        more: dict[bytes, bytes] | None = None,
        mtime_ns: int | None = None,
    ) -> None:
        mtime_ns = status.st_mtime_ns if mtime_ns is None else mtime_ns
        self._newest = max(self._newest, mtime_ns)
        records = dict(more or {})
        for attribute, value in (xattrs or {}).items():
            records[b"SCHILY.xattr." + os.fsencode(attribute)] = value
        seconds, fraction = divmod(mtime_ns, 1_000_000_000)
        if fraction or seconds < 0:
            records[b"mtime"] = _decimal_time(mtime_ns)
            seconds = max(seconds, 0)
        name = (path + b"/" if path else b"./") if kind == b"5" else path
        mode = stat.S_IMODE(status.st_mode)
        owner = (status.st_uid, status.st_gid)
        self._header(name, mode, kind, size, *owner, records, seconds, linkname, device)

    def _header(
        self,
        name: bytes,
        mode: int,
        kind: bytes,
        size: int,
        uid: int,
        gid: int,
        records: dict[bytes, bytes],
        seconds: int = 0,
        linkname: bytes = b"",
        device: int = 0,
    ) -> None:
        self._entries += 1
        if len(name) > 100:
            records[b"path"] = name
        if len(linkname) > 100:
            records[b"linkpath"] = linkname
        for key, value, limit in ((b"size", size, 8**11), (b"uid", uid, 8**7), (b"gid", gid, 8**7)):
            if value >= limit:
                records[key] = b"%d" % value
        if seconds >= 8**11:
            records.setdefault(b"mtime", b"%d" % seconds)
        if records:
            payload = b"".join(_record(key, records[key]) for key in sorted(records))
            self._output.write(_ustar(b"PaxHeaders/" + name[-80:], 0o644, b"x", len(payload)))
            self._output.write(payload)
            self._output.pad()
        self._output.write(_ustar(name, mode, kind, size, uid, gid, seconds, linkname, device))


def _ustar(
    name: bytes,
    mode: int,
    kind: bytes,
    size: int,
    uid: int = 0,
    gid: int = 0,
    seconds: int = 0,
    linkname: bytes = b"",
    device: int = 0,
) -> bytes:
    """A header; what does not fit is zero or cut here and stands in the pax records before it."""
    header = bytearray(_BLOCK)
    header[0 : min(100, len(name))] = name[:100]
    for at, width, value in ((100, 8, mode), (108, 8, uid), (116, 8, gid), (124, 12, size), (136, 12, seconds)):
        fits = value if value < 8 ** (width - 1) else 0
        header[at : at + width] = b"%0*o\0" % (width - 1, fits)
    header[156:157] = kind
    header[157 : 157 + min(100, len(linkname))] = linkname[:100]
    header[257:265] = b"ustar\x0000"
    header[329:337] = b"%07o\0" % os.major(device)
    header[337:345] = b"%07o\0" % os.minor(device)
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE\\n``, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _decimal_time(nanoseconds: int) -> bytes:
    sign, (seconds, fraction) = b"-" if nanoseconds < 0 else b"", divmod(abs(nanoseconds), 1_000_000_000)
    return (sign + b"%d.%09d" % (seconds, fraction)).rstrip(b"0").rstrip(b".")


def _xattrs_of(target: int | bytes) -> dict[str, bytes]:
    """The attributes that belong into an image."""
    follow = {} if isinstance(target, int) else {"follow_symlinks": False}
    try:
        names = os.listxattr(target, **follow)
    except OSError:
        return {}
    kept = [name for name in names if name.startswith(_KEPT) and not name.startswith("user.overlay.")]
    found = {}
    for name in sorted(kept):
        with contextlib.suppress(OSError):  # removed since
            found[name] = os.getxattr(target, name, **follow)
    return found


def _redirects(fd: int) -> bool:
    try:
        return bool(os.getxattr(fd, "trusted.overlay.redirect"))
    except OSError:
        return False


def _data_parts(fd: int, status: os.stat_result) -> list[tuple[int, int]] | None:
    """The parts of a sparse file that hold data, lseek(2) SEEK_DATA; None where its holes are written as zeros."""
    if status.st_size - status.st_blocks * 512 < _SPARSE_FROM:
        return None
    parts = list(_segments(fd, status.st_size))
    if status.st_size - sum(length for _offset, length in parts) < _SPARSE_FROM:
        return None
    # GNU tar marks the file's end by an empty part where it ends in a hole.
    return parts if parts and sum(parts[-1]) == status.st_size else [*parts, (status.st_size, 0)]


def _segments(fd: int, size: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, at - start
