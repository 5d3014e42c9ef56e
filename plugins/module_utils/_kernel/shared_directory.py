# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing as root into directories that other users may write to: what they plant there meanwhile leads nowhere.

A directory is opened once, and everything in it is named by that descriptor and one name. Nothing is written through a
symbolic link, and nothing that somebody else has made is written to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from . import files, libc, locations, tree
from .errors import KernelError

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY = 1 << 20
#: As many symbolic links as the kernel follows, path_resolution(7).
_MOST_LINKS = 40


def open_directory(path: str | bytes) -> int:
    """A descriptor of a directory; on the way only root's symbolic links are followed, as others could turn theirs.

    Raises KernelError, ELOOP for such a link.
    """
    names, links = _names(os.fsencode(path))[::-1], 0
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while names:
            name = names.pop()
            below = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            status = os.fstat(below)
            if not stat.S_ISLNK(status.st_mode):
                os.close(fd)
                fd = below
                continue
            try:
                target, links = os.fsencode(os.readlink(b"", dir_fd=below)), links + 1
            finally:
                os.close(below)
            if status.st_uid != 0 or links > _MOST_LINKS:
                whose = (
                    f"{os.fsdecode(name)} in it is a symbolic link of user {status.st_uid}, who can lead it elsewhere"
                )
                raise KernelError(errno.ELOOP, "open", path, f"{whose}: write the path it leads to")
            if target.startswith(b"/"):
                os.close(fd)
                fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            names += _names(target)[::-1]
        return os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    except KernelError:
        raise
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error
    finally:
        os.close(fd)


def _names(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in (b"", b".")]


def put(staged: str, path: str) -> None:
    """Give what was made in a directory of ours the name ``path``; what is there is replaced in one step.

    Files get mode 0644 and directories 0755. What was a directory there is in the place of ``staged`` afterwards, or
    gone. Raises KernelError.
    """
    above, name = os.path.split(os.fsencode(path))
    directory = open_directory(above)
    try:
        _open_up(staged)
        files.sync_file_system(os.path.dirname(staged))
        try:
            _replace(libc.AT_FDCWD, os.fsencode(staged), directory, name, path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _put_copy(os.fsencode(staged), directory, name, path)
        os.fsync(directory)
    except KernelError:
        raise
    except OSError as error:
        raise KernelError.wrap(error, "write", path) from error
    finally:
        os.close(directory)


def _put_copy(staged: bytes, directory: int, name: bytes, path: str) -> None:
    """From another file system: a copy beside the name first."""
    made = locations.HALF_MADE.encode() + name
    _remove(directory, made)
    try:
        _copy(staged, directory, made)
        libc.call("syncfs", directory, path=path)
        _replace(directory, made, directory, name, path)
    finally:
        _remove(directory, made)


def _replace(source_fd: int, source: bytes, directory: int, name: bytes, path: str) -> None:
    """rename(2), or renameat2(2) with RENAME_EXCHANGE where a directory is there."""
    try:
        exchange = stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        exchange = False
    if not exchange:
        os.rename(source, name, src_dir_fd=None if source_fd < 0 else source_fd, dst_dir_fd=directory)
        return
    hint = f"The file system cannot swap two directories: remove {path} first"
    names = (source_fd, source, directory, name)
    libc.syscall("renameat2", libc.number("renameat2"), *names, libc.RENAME_EXCHANGE, path=path, hint=hint)


def _remove(directory: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        tree.remove(directory, name)


def _open_up(path: str) -> None:
    """Made in a directory that is for root alone; where it goes, others may read it."""
    for above, directories, names in os.walk(path):
        os.chmod(above, 0o755)
        for name in (*directories, *names):
            os.chmod(f"{above}/{name}", 0o755 if name in directories else 0o644)
    if not os.path.isdir(path):
        os.chmod(path, 0o644)


def _copy(source: bytes, directory: int, name: bytes) -> None:
    """A file, or a directory with what is in it, under a name that nothing has yet. Raises OSError."""
    if not os.path.isdir(source):
        copy_file(source, directory, name)
        return
    os.mkdir(name, 0o700, dir_fd=directory)
    fd = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        if os.fstat(fd).st_uid != 0:
            raise KernelError(errno.EEXIST, "mkdir", name, "Another user made a directory of that name just now")
        for below in os.listdir(source):
            _copy(source + b"/" + below, fd, below)
        os.fchmod(fd, 0o755)
    finally:
        os.close(fd)


def copy_file(source: bytes, directory: int, name: bytes) -> None:
    """A new file with mode 0644 and that content. Raises OSError, EEXIST where anything bears the name."""
    with open(source, "rb", buffering=0) as content:
        fd = os.open(name, _CREATE, 0o600, dir_fd=directory)
        with os.fdopen(fd, "wb", buffering=0) as out:
            while chunk := content.read(_COPY):
                written = 0
                while written < len(chunk):
                    written += os.write(fd, chunk[written:])
            os.fchmod(out.fileno(), 0o644)
