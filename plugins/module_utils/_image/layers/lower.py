# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a layer takes from the layers below it.

A parent directory that the archive does not carry keeps the attributes it has below, and a hard link to a file of a
lower layer first brings that file up, as overlayfs itself would.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..._kernel import openat2
from ..._kernel.errors import KernelError
from ..errors import HostileLayer, shown
from .overlay_marks import is_opaque_path, is_whiteout

_RESOLVE = openat2.RESOLVE_IN_ROOT | openat2.RESOLVE_NO_MAGICLINKS | openat2.RESOLVE_NO_SYMLINKS
#: What Unpacker gives a directory that it had to make.
_IMPLIED = (0o755, 0, 0)
_CRAFTED = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG)


def depends(record: Mapping[str, Any], below: Sequence[str]) -> bool:
    """Whether the layer is another on top of these than it is by itself."""
    if record.get("outside_links"):
        return True
    for path in record.get("implied", ()):
        there = find(os.fsencode(path), below)
        if there is None:
            continue
        try:
            status = os.fstat(there)
            same = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == _IMPLIED
            if stat.S_ISDIR(status.st_mode) and not (same and not _xattrs(there)):
                return True
        finally:
            os.close(there)
    return False


def complete(root: str, record: Mapping[str, Any], below: Sequence[str]) -> None:
    """Give the layer below ``root`` what it takes from ``below`` (bottommost first).

    Raises HostileLayer, which names the entry, KernelError.
    """
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        places: dict[bytes, bytes] = {}
        for link, target in record.get("outside_links", ()):
            with _about(link):
                _link(root_fd, os.fsencode(link), os.fsencode(target), below, places)
        for path in sorted(record.get("implied", ()), reverse=True):
            with _about(path):
                _adopt(root_fd, os.fsencode(path), below)
    finally:
        os.close(root_fd)


@contextlib.contextmanager
def _about(path: str) -> Iterator[None]:
    """What only a crafted layer causes is called that."""
    try:
        yield
    except OSError as error:
        if error.errno not in _CRAFTED:
            raise
        raise HostileLayer(
            f"entry {shown(os.fsencode(path))}: what it needs of the layers below cannot be placed: {error.strerror}"
        ) from error


def find(path: bytes, below: Sequence[str]) -> int | None:
    """A descriptor (O_PATH) of what the layers show at that path; None where nothing is, or it was whited out."""
    for layer in reversed(below):
        root = os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found, ends = _in_layer(root, path)
        finally:
            os.close(root)
        if found is not None or ends:
            return found
    return None


def _in_layer(root: int, path: bytes) -> tuple[int | None, bool]:
    """What one layer has there, and whether it hides what is below it."""
    parts = path.split(b"/") if path else []
    hidden = False
    for depth in range(len(parts) + 1):
        here = b"/".join(parts[:depth]) or b"."
        try:
            fd = openat2.openat2(root, here, os.O_PATH | os.O_NOFOLLOW, resolve=_RESOLVE)
        except KernelError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None, hidden or error.errno != errno.ENOENT
            raise
        status = os.fstat(fd)
        if is_whiteout(status):
            os.close(fd)
            return None, True
        if depth == len(parts):
            return fd, True
        hidden = hidden or is_opaque_path(fd)
        os.close(fd)
    return None, hidden


def _xattrs(fd: int) -> dict[str, bytes]:
    """Those that belong to the file itself, not to overlayfs or the host's policy."""
    through = f"/proc/self/fd/{fd}"
    names = [n for n in os.listxattr(through) if n.startswith(("user.", "system.posix_acl", "security.capability"))]
    return {name: os.getxattr(through, name) for name in names}


def _adopt(root_fd: int, path: bytes, below: Sequence[str]) -> None:
    """A directory made here gets the attributes of the one below."""
    there = find(path, below)
    if there is None:
        return
    try:
        status = os.fstat(there)
        if not stat.S_ISDIR(status.st_mode):
            return
        here = openat2.openat2(root_fd, path or b".", os.O_RDONLY | os.O_DIRECTORY, resolve=_RESOLVE)
        try:
            _copy_attributes(status, _xattrs(there), here)
        finally:
            os.close(here)
    finally:
        os.close(there)


def _copy_attributes(status: os.stat_result, xattrs: Mapping[str, bytes], fd: int) -> None:
    os.fchown(fd, status.st_uid, status.st_gid)
    os.fchmod(fd, stat.S_IMODE(status.st_mode))
    for name, value in xattrs.items():
        os.setxattr(fd, name, value)
    os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _link(root_fd: int, link: bytes, target: bytes, below: Sequence[str], places: dict[bytes, bytes]) -> None:
    """Bring the target up into this layer, then link to it; ``places`` says where those before were brought.

    Under the link's name alone where a later entry of the layer has or hides the target's.
    """
    place = places.get(target)
    if place is None:
        place = link if _ends_here(root_fd, target) else target
        if not _make(root_fd, place, below, lambda parent, name: _bring_up(parent, name, target, below)):
            return
        places[target] = place
    if place != link:
        directory, _slash, there = place.rpartition(b"/")
        source = _directory(root_fd, directory, below)

        def link_to_it(parent: int, name: bytes) -> None:
            os.link(there, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

        try:
            _make(root_fd, link, below, link_to_it)
        finally:
            os.close(source)
    places[link] = place


def _make(root_fd: int, path: bytes, below: Sequence[str], make: Callable[[int, bytes], None]) -> bool:
    """Make a name, and say whether: a later entry of the layer may have it. A whiteout only hides what is below."""
    directory, _slash, name = path.rpartition(b"/")
    parent = _directory(root_fd, directory, below)
    try:
        with contextlib.suppress(FileNotFoundError):
            if is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False)):
                os.unlink(name, dir_fd=parent)
        make(parent, name)
        return True
    except FileExistsError:
        return False
    finally:
        os.close(parent)


def _ends_here(root_fd: int, path: bytes) -> bool:
    """Whether the layer has something at a path, or hides what is below there.

    Raises HostileLayer for a path through a symlink of the layer, which is never what the layers below mean by it.
    """
    parts = path.split(b"/")
    opaque = False
    for depth in range(1, len(parts) + 1):
        here = b"/".join(parts[:depth])
        try:
            fd = openat2.openat2(root_fd, here, os.O_PATH | os.O_NOFOLLOW, resolve=_RESOLVE)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
            return opaque
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISLNK(mode) and depth < len(parts):
                raise HostileLayer(f"a hard link below {shown(here)}, which is no directory")
            if depth == len(parts) or not stat.S_ISDIR(mode):
                return True
            opaque = opaque or is_opaque_path(fd)
        finally:
            os.close(fd)
    return opaque


def _directory(root_fd: int, path: bytes, below: Sequence[str]) -> int:
    """The directory in this layer, made like the one below where it is not here yet."""
    parts = path.split(b"/") if path else []
    above = _open(root_fd, b"")
    for depth, name in enumerate(parts, 1):
        here = b"/".join(parts[:depth])
        try:
            try:
                found = _open(root_fd, here)
            except FileNotFoundError:
                os.mkdir(name, 0o755, dir_fd=above)
                _adopt(root_fd, here, below)
                found = _open(root_fd, here)
        finally:
            os.close(above)
        above = found
    return above


def _open(root_fd: int, path: bytes) -> int:
    try:
        return openat2.openat2(root_fd, path or b".", os.O_PATH | os.O_DIRECTORY, resolve=_RESOLVE)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise HostileLayer(f"a hard link below {shown(path)}, which is no directory") from None
        raise FileNotFoundError(error.errno, error.strerror, path) from None


def _bring_up(parent: int, name: bytes, path: bytes, below: Sequence[str]) -> None:
    there = find(path, below)
    if there is None:
        raise HostileLayer(f"a hard link to {shown(path)}, which neither the layer nor those below it hold")
    try:
        status = os.fstat(there)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(b"", dir_fd=there), name, dir_fd=parent)
            os.chown(name, status.st_uid, status.st_gid, dir_fd=parent, follow_symlinks=False)
            return
        if not stat.S_ISREG(status.st_mode):
            raise HostileLayer(f"a hard link to {shown(path)}, which is no regular file in the layers below")
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        with os.fdopen(fd, "wb") as target, open(f"/proc/self/fd/{there}", "rb") as source:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            _copy_attributes(status, _xattrs(there), target.fileno())
    finally:
        os.close(there)
