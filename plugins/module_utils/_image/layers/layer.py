# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A layer's tar becomes a directory that overlayfs can use as a lowerdir.

Nothing in a layer is trusted. A parent directory is opened with openat2(RESOLVE_IN_ROOT) below the layer's own root,
and the last component is only ever used with that descriptor and without following it. Whiteouts (OCI image-spec
layer.md) become overlayfs's own: a character device 0:0, and trusted.overlay.opaque on a directory
(kernel: filesystems/overlayfs.rst).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import Any

from ..._kernel import openat2, tree
from ..._kernel.errors import KernelError
from ..errors import HostileLayer, shown
from . import tarstream
from .overlay_marks import OPAQUE_XATTR, is_whiteout
from .parents import Parents, Place, check_depth
from .policy import Limits
from .stream import CHUNK, LayerStream
from .tarstream import Entry

#: What the name of an entry begins with that hides another (OCI image-spec layer.md).
WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: What may be set on a file of the host; trusted.* steers overlayfs, security.selinux is the host's policy's business.
_XATTRS_KEPT = ("user.", "security.capability", "system.posix_acl_access", "system.posix_acl_default")
_ZEROS = bytes(CHUNK)
#: What file systems say of an attribute that they have no place for, setxattr(2): ext4 speaks of space.
_TOO_LARGE = (errno.ENOSPC, errno.E2BIG, errno.ERANGE)
#: Bytes of attributes that every file system has place for. ext4 has a block of 1 KiB at least for those of a file.
_LARGE = 512
_MAX_ID = (1 << 32) - 2
#: As much as a listing of what is odd about a layer shows.
_LISTED = 20
_DEVICE_TYPES = {tarstream.CHAR: stat.S_IFCHR, tarstream.BLOCK_DEVICE: stat.S_IFBLK, tarstream.FIFO: stat.S_IFIFO}


class Unpacker:
    """Places the entries of one layer below the directory that root_fd refers to (empty, and nobody else's)."""

    def __init__(self, root_fd: int, limits: Limits, admit: Callable[[Entry], bool] | None = None) -> None:
        """``admit`` may change an entry before it is placed, and answers whether it is placed at all."""
        self._admit = admit
        self._limits = limits
        self._parents = Parents(root_fd, self._count_name)
        self._names = 0
        self._directory_times: dict[bytes, int] = {}
        self.outside_links: list[tuple[bytes, bytes]] = []
        self.entries = 0
        self.size = 0
        self.devices: list[str] = []
        self.setuid: list[str] = []
        self.xattrs_dropped: set[str] = set()

    def unpack(self, source: LayerStream) -> None:
        """The whole archive. Raises HostileLayer, KernelError; what was placed until then stays where it is."""
        try:
            for entry in tarstream.entries(source):
                if self._admit is None or self._admit(entry):
                    self._place(source, entry)
                else:
                    tarstream.skip(source, entry)
            self._set_directory_times()
        finally:
            self._parents.forget()

    def record(self) -> dict[str, Any]:
        """What layer.json keeps."""
        return {
            "entries": self.entries,
            "size": self.size,
            "devices": self.devices,
            "setuid": self.setuid,
            "xattrs_dropped": sorted(self.xattrs_dropped),
            "implied": sorted(os.fsdecode(path) for path in self._parents.implied),
            "outside_links": [[os.fsdecode(name), os.fsdecode(target)] for name, target in self.outside_links],
        }

    # One entry

    def _place(self, source: LayerStream, entry: Entry) -> None:
        self.entries += 1
        self._count_name()
        path = clean(entry.name)
        if entry.uid > _MAX_ID or entry.gid > _MAX_ID:
            raise HostileLayer(f"entry {shown(entry.name)}: owner {entry.uid}:{entry.gid} is no user or group ID")
        directory, _slash, name = path.rpartition(b"/")
        try:
            if name.startswith(WHITEOUT):
                self._whiteout(directory, name)
            elif not path:
                self._root_entry(entry)
            else:
                self._member(source, entry, path, directory, name)
                return
        except OSError as error:
            raise _placed(error, entry) from error
        tarstream.skip(source, entry)

    def _member(self, source: LayerStream, entry: Entry, path: bytes, directory: bytes, name: bytes) -> None:
        try:
            parent = self._parents.of(directory)
            if entry.kind == tarstream.FILE:
                self._file(source, entry, parent.fd, name)
            elif entry.kind == tarstream.DIRECTORY:
                self._directory(entry, parent, name)
            elif entry.kind == tarstream.SYMLINK:
                self._again(parent.fd, name, lambda: os.symlink(entry.linkname, name, dir_fd=parent.fd))
                self._metadata(entry, parent.fd, name)
            elif entry.kind == tarstream.HARDLINK:
                self._hardlink(entry, parent, name, path)
            else:
                self._special(entry, parent.fd, name)
        except OSError as error:
            raise _placed(error, entry) from error
        if entry.kind not in (tarstream.FILE, tarstream.DIRECTORY):
            tarstream.skip(source, entry)

    def _root_entry(self, entry: Entry) -> None:
        if entry.kind != tarstream.DIRECTORY:
            raise HostileLayer(f"entry {shown(entry.name)}: the root of a layer can only be a directory")
        self._parents.implied.discard(b"")
        self._metadata(entry, self._parents.root.fd, b".")
        self._directory_times[b""] = entry.mtime_ns

    def _file(self, source: LayerStream, entry: Entry, parent: int, name: bytes) -> None:
        self._count(entry)
        try:
            fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
        except FileExistsError:
            self._remove(parent, name)
            fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
        try:
            if entry.sparse is None:
                self._copy(source, fd, entry.stored)
            else:
                for offset, length in entry.sparse:
                    os.lseek(fd, offset, os.SEEK_SET)
                    self._copy(source, fd, length)
                os.ftruncate(fd, entry.size)
            if padding := -entry.stored % 512:
                source.read(padding)
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            if entry.mode & 0o6000:
                self._note(self.setuid, entry)
            if entry.xattrs:
                self._xattrs(entry, fd)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _count_name(self) -> None:
        """Raises HostileLayer. An entry of a long path may imply hundreds of directories, each an inode too."""
        self._names += 1
        if self._names > self._limits.entries:
            raise HostileLayer(
                f"the layer has more than {self._limits.entries} entries, with the directories that they imply",
                "Raise max_entries if it is meant to",
            )

    def _count(self, entry: Entry) -> None:
        """Raises HostileLayer. A hole counts: whatever reads or copies the file meets all of it."""
        self.size += entry.size
        if self.size > self._limits.size:
            raise HostileLayer(
                f"entry {shown(entry.name)}: with it the layer unpacks to more than {self._limits.size} bytes, holes "
                "included",
                "Raise max_size if it is meant to",
            )

    @staticmethod
    def _copy(source: LayerStream, fd: int, size: int) -> None:
        """Zeros become a hole again, as most of them were one, but for the last ones, which make the file as long."""
        while size:
            chunk = source.read_some(size)
            size -= len(chunk)
            if size and _ZEROS.startswith(chunk):
                os.lseek(fd, len(chunk), os.SEEK_CUR)
                continue
            written = os.write(fd, chunk)
            while written < len(chunk):
                written += os.write(fd, chunk[written:])

    def _directory(self, entry: Entry, parent: Place, name: bytes) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent.fd)
        except FileExistsError:
            there = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
            if not stat.S_ISDIR(there.st_mode):
                # A whiteout or a file of this layer and then a directory: the one below is gone, and this one is new.
                self._remove(parent.fd, name)
                os.mkdir(name, 0o700, dir_fd=parent.fd)
                os.setxattr(_through(parent.fd, name), OPAQUE_XATTR, b"y", follow_symlinks=False)
        path = parent.inside(name)
        self._parents.implied.discard(path)
        self._metadata(entry, parent.fd, name)
        self._directory_times[path] = entry.mtime_ns

    def _hardlink(self, entry: Entry, parent: Place, name: bytes, path: bytes) -> None:
        target = clean(entry.linkname)
        if target == path:
            return
        check_depth(target, entry.name)
        directory, _slash, target_name = target.rpartition(b"/")
        try:
            target_parent = self._parents.open(directory)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
            self._link_outside(parent, name, target)
            return
        try:
            there = os.stat(target_name or b".", dir_fd=target_parent, follow_symlinks=False)
            if stat.S_ISDIR(there.st_mode) or is_whiteout(there):
                raise HostileLayer(
                    f"entry {shown(entry.name)}: a hard link to {shown(entry.linkname)}, which is no file"
                )
            ends = {"src_dir_fd": target_parent, "dst_dir_fd": parent.fd}
            self._again(parent.fd, name, lambda: os.link(target_name, name, **ends, follow_symlinks=False))
        except FileNotFoundError:
            self._link_outside(parent, name, target)
        finally:
            os.close(target_parent)

    def _link_outside(self, parent: Place, name: bytes, target: bytes) -> None:
        """Made when the layers below are known (lower.py); what an earlier entry has put there gives way now."""
        with contextlib.suppress(FileNotFoundError):
            self._remove(parent.fd, name)
        self.outside_links.append((parent.inside(name), target))

    def _special(self, entry: Entry, parent: int, name: bytes) -> None:
        kind = _DEVICE_TYPES[entry.kind]
        device = 0
        if entry.kind != tarstream.FIFO:
            device = os.makedev(entry.devmajor, entry.devminor)
            self._note(self.devices, entry)
        self._again(parent, name, lambda: os.mknod(name, kind | 0o600, device, dir_fd=parent))
        self._metadata(entry, parent, name)

    # Whiteouts

    def _whiteout(self, directory: bytes, name: bytes) -> None:
        if name == _OPAQUE:
            os.setxattr(f"/proc/self/fd/{self._parents.of(directory).fd}", OPAQUE_XATTR, b"y")
            return
        if name.startswith(b".wh..wh."):
            return  # what AUFS kept for itself (.wh..wh.plnk, .wh..wh.aufs)
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise HostileLayer(f"entry {name!r}: a whiteout of {hidden!r}")
        parent = self._parents.of(directory).fd
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
            os.utime(hidden, ns=(0, 0), dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            there = os.stat(hidden, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(there.st_mode):
                os.setxattr(_through(parent, hidden), OPAQUE_XATTR, b"y", follow_symlinks=False)

    # Metadata

    def _metadata(self, entry: Entry, parent: int, name: bytes) -> None:
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.kind != tarstream.SYMLINK:
            os.chmod(name, entry.mode, dir_fd=parent)
            if entry.mode & 0o6000 and entry.kind != tarstream.DIRECTORY:
                self._note(self.setuid, entry)
        if entry.xattrs:
            self._xattrs(entry, _through(parent, name))
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _xattrs(self, entry: Entry, target: int | bytes) -> None:
        follow = {} if isinstance(target, int) else {"follow_symlinks": False}
        for key, value in entry.xattrs.items():
            if not key.startswith(_XATTRS_KEPT) or key.startswith("user.overlay."):
                self.xattrs_dropped.add(key)
                continue
            try:
                os.setxattr(target, key, value, **follow)
            except OSError as error:
                if error.errno not in _TOO_LARGE or sum(map(len, entry.xattrs.values())) < _LARGE:
                    raise
                raise _too_large(error, entry, key) from error

    def _set_directory_times(self) -> None:
        """Last, as every entry placed in a directory moves its times; the deepest first."""
        for path in self._parents.implied:
            self._directory_times.setdefault(path, 0)
        for path in sorted(self._directory_times, reverse=True):
            try:
                fd = self._parents.open(path, os.O_RDONLY, openat2.RESOLVE_NO_SYMLINKS)
            except KernelError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    self._parents.implied.discard(path)  # replaced by a later entry
                    continue
                raise
            try:
                os.utime(fd, ns=(self._directory_times[path], self._directory_times[path]))
            finally:
                os.close(fd)

    @staticmethod
    def _note(listing: list[str], entry: Entry) -> None:
        if len(listing) < _LISTED:
            listing.append(os.fsdecode(entry.name))

    # What is in the way

    def _again(self, parent: int, name: bytes, make: Any) -> None:
        """Make a name; what an earlier entry of the same layer put there gives way."""
        try:
            make()
        except FileExistsError:
            self._remove(parent, name)
            make()

    def _remove(self, parent: int, name: bytes) -> None:
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        tree.remove(parent, name)
        if stat.S_ISDIR(there.st_mode) or stat.S_ISLNK(there.st_mode):
            self._parents.forget(kept=parent)


def clean(name: bytes) -> bytes:
    """A member's path below the root, without leading slashes and empty parts. Raises HostileLayer for ``..``."""
    if b"//" not in name and b"/." not in name and name[:1] not in (b".", b"/") and name[-1:] != b"/":
        return name
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise HostileLayer(f"entry {shown(name)}: a path that climbs out with '..'")
    return b"/".join(parts)


def _through(parent: int, name: bytes) -> bytes:
    """A path for the calls that take no directory descriptor; not followed when used with follow_symlinks=False."""
    return b"/proc/self/fd/%d/%s" % (parent, name)


def _too_large(error: OSError, entry: Entry, key: str) -> KernelError:
    size, together = len(entry.xattrs[key]), sum(map(len, entry.xattrs.values()))
    hint = (
        f"{key} has {size} bytes, all its attributes {together}: the file system of the image store has no place for "
        "so much, or is full. ext4 has one block for it, and more where it was made with the feature ea_inode"
    )
    return KernelError(error.errno or errno.EIO, "setxattr", entry.name[:200], hint)


def _placed(error: OSError, entry: Entry) -> Exception:
    """The entry's name goes into the message; what only a crafted layer causes is called that."""
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG):
        return HostileLayer(f"entry {shown(entry.name)}: cannot be placed: {os.strerror(error.errno)}")
    if isinstance(error, KernelError):
        return error
    call = {errno.ENOSPC: "write", errno.EDQUOT: "write"}.get(error.errno or 0, "unpack")
    hint = "The file system of the image store cannot hold this attribute" if error.errno == errno.ENOTSUP else ""
    return KernelError(error.errno or errno.EIO, call, entry.name[:200], hint)
