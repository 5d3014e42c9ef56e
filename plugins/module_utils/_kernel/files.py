# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and directories of ours: written whole or not at all, marked, locked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from . import locations
from .errors import KernelError

#: How often a directory is made that others remove at the same time.
_ATTEMPTS = 100
#: The locks that this process holds: the path of each, and its descriptor.
_held: dict[str, int] = {}
#: What the name of a lock's mark ends with, and the marks that this process left.
_MARK = "~"
_marks: dict[str, int] = {}


def make_directory(path: str | bytes, mode: int | None = None, uid: int = 0, gid: int = 0, mark: bool = False) -> None:
    """mkdir(2) with exactly that mode and owner, whatever the umask. An existing directory is left as it is.

    Without ``mode``, and for parents, it is that of locations.mode_of_directory.
    Directories that others remove once they are empty (``remove_if_empty``) may go at any point: then again.
    Raises KernelError.
    """
    mode = locations.mode_of_directory(os.fsdecode(path)) if mode is None else mode
    for attempt in range(_ATTEMPTS):
        try:
            if _made_directory(path, mode, uid, gid):
                break
            return
        except FileNotFoundError as error:
            if attempt + 1 == _ATTEMPTS:
                raise KernelError.wrap(error, "mkdir", path) from error
        except KernelError:
            raise
        except OSError as error:
            raise KernelError.wrap(error, "mkdir", path) from error
    if mark:
        set_mark(path, "1")


def _made_directory(path: str | bytes, mode: int, uid: int, gid: int) -> bool:
    """Whether it had to be made. Raises FileNotFoundError where it, or its parent, goes meanwhile."""
    parent = os.path.dirname(os.fsencode(path).rstrip(b"/"))
    if parent and not os.path.isdir(parent):
        make_directory(parent)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            raise KernelError(errno.ENOTDIR, "mkdir", path) from None
        return False
    # By a descriptor: whoever may write to the directory above could put a link to another file in its place.
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
    return True


def set_mode(path: str, mode: int) -> None:
    """fchmod(2) of a file of ours. Raises KernelError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
    except OSError as error:
        raise KernelError.wrap(error, "chmod", path) from error


def set_owner(path: str, uid: int, gid: int, mode: int) -> None:
    """fchown(2), then fchmod(2) of a file of ours: changing the owner takes some bits away. Raises KernelError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
    except OSError as error:
        raise KernelError.wrap(error, "chown", path) from error


def set_directory(path: str, mode: int, uid: int = 0, gid: int = 0) -> None:
    """fchmod(2), fchown(2) of a directory of ours that somebody changed. Raises KernelError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
    except OSError as error:
        raise KernelError.wrap(error, "chmod", path) from error


def set_mark(path: str | bytes, value: str) -> None:
    """Mark a directory or cgroup as ours, setxattr(2). Raises KernelError."""
    try:
        os.setxattr(path, locations.MARK_XATTR, value.encode())
    except OSError as error:
        raise KernelError.wrap(error, "setxattr", path) from error


def mark_of(path: str | bytes) -> str | None:
    """Our mark on a directory or cgroup, None where it bears none or does not exist."""
    try:
        return os.getxattr(path, locations.MARK_XATTR).decode()
    except OSError:
        return None


def write_atomically(path: str | bytes, content: str | bytes, mode: int = 0o600) -> None:
    """Replace a file in one step, on the disk when it returns: readers see the old file or the new one, with that mode.

    Nothing is left of a file whose writer is killed, as it has no name before it is whole (open(2), O_TMPFILE). Where
    the file system has no such files, and while it takes the place of an old one, it has another name beside it.
    Raises KernelError.
    """
    raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    target = os.fsdecode(path)
    directory = os.path.dirname(target)
    # Not the tempfile module: it costs the container launcher milliseconds.
    temporary = f"{directory}/{locations.HALF_MADE}{os.path.basename(target)}-{os.getpid()}"
    remove_file(temporary)  # left by a run that was killed, whose PID we have now, or planted by somebody
    try:
        fd, named = _open_new(directory, temporary)
    except OSError as error:
        raise KernelError.wrap(error, "open", target) from error
    try:
        with os.fdopen(fd, "wb") as handle:
            handle.write(raw)
            os.fchmod(handle.fileno(), mode)
            handle.flush()
            os.fsync(handle.fileno())
            if not named and _named(handle.fileno(), target):
                return
            if not named:
                _link(handle.fileno(), temporary)
        os.rename(temporary, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise KernelError.wrap(error, "write", target) from error


def _open_new(directory: str, name: str) -> tuple[int, bool]:
    """A descriptor of a new file, and whether it has the name already. Raises OSError."""
    if os.path.isdir("/proc/self/fd"):  # by which it gets its name
        with contextlib.suppress(OSError):
            return os.open(directory, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600), False
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, 0o600), True


def _named(fd: int, path: str) -> bool:
    """Whether a file without a name could get that one, as nothing had it. Raises OSError."""
    try:
        _link(fd, path)
    except FileExistsError:
        return False
    return True


def _link(fd: int, path: str) -> None:
    # With a descriptor of a directory, which an absolute path does not need, Python calls linkat(2), which follows
    # links if told to; link(2) does not.
    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)


def write_in_place(path: str | bytes, content: str | bytes, mode: int = 0o600) -> None:
    """Overwrite a file without changing its inode: what is bind-mounted elsewhere keeps following it.

    It then has exactly that mode, whatever the umask. Raises KernelError.
    """
    raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, mode)
            os.pwrite(fd, raw, 0)
            os.ftruncate(fd, len(raw))
        finally:
            os.close(fd)
    except OSError as error:
        raise KernelError.wrap(error, "write", path) from error


def write_json(path: str, value: Any, mode: int = 0o600) -> None:
    """write_atomically of a JSON document with sorted keys."""
    write_atomically(path, json.dumps(value, indent=1, sort_keys=True) + "\n", mode)


def read_text(path: str | bytes) -> str | None:
    """A file's text, None where it does not exist. Raises KernelError for any other refusal."""
    try:
        with open(path, "rb") as handle:
            return handle.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error


def read_json(path: str) -> Any | None:
    """A JSON document of ours, None where it does not exist. Raises KernelError(EBADMSG) when damaged."""
    text = read_text(path)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        raise damaged(path) from None


def damaged(path: str) -> KernelError:
    """The error for a document of ours that cannot be understood."""
    hint = "The file is damaged: remove it, or restore it from a backup, and run again"
    return KernelError(errno.EBADMSG, "read", path, hint)


def make_symlink(target: str | bytes, link: str | bytes) -> None:
    """symlink(2), replacing a link (or file) of that name in one step. Raises KernelError."""
    temporary = os.fsencode(link) + b".new"
    remove_file(temporary)
    try:
        os.symlink(os.fsencode(target), temporary)
        os.rename(temporary, link)
    except OSError as error:
        raise KernelError.wrap(error, "symlink", link) from error


def rename(source: str | bytes, target: str | bytes) -> None:
    """rename(2) on one file system; the new name is on the disk when it returns. Raises KernelError."""
    try:
        os.rename(source, target)
        fd = os.open(os.path.dirname(os.fsdecode(target)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise KernelError.wrap(error, "rename", target) from error


def exchange(one: str, other: str) -> None:
    """renameat2(2), RENAME_EXCHANGE: two directories swap their names in one step, on the disk when it returns.

    Raises KernelError.
    """
    from . import libc  # here: the container launcher imports this file

    hint = f"The file system cannot swap two directories: remove {other} first"
    names = (libc.AT_FDCWD, os.fsencode(one), libc.AT_FDCWD, os.fsencode(other))
    libc.syscall("renameat2", libc.number("renameat2"), *names, libc.RENAME_EXCHANGE, path=other, hint=hint)
    sync_file_system(os.path.dirname(other))


def sync_file_system(path: str) -> None:
    """syncfs(2): whatever was written to the file system of that directory is on the disk. Raises KernelError."""
    from . import libc  # here: the container launcher imports this file

    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc.call("syncfs", fd, path=path)
    finally:
        os.close(fd)


def remove_file(path: str | bytes) -> None:
    """unlink(2); a file that is already gone is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise KernelError.wrap(error, "unlink", path) from error


def remove_directory(path: str | bytes) -> None:
    """rmdir(2); one that is already gone is fine, one that is not empty is KernelError(ENOTEMPTY).

    A symbolic link to a directory is the administrator's, who has put that elsewhere: it stays.
    """
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except NotADirectoryError as error:
        if not os.path.islink(path):
            raise KernelError.wrap(error, "rmdir", path) from error
    except OSError as error:
        raise KernelError.wrap(error, "rmdir", path) from error


def is_empty_directory(path: str | bytes) -> bool:
    """Whether there is a directory with nothing in it."""
    try:
        return not os.listdir(path)
    except OSError:
        return False


def remove_if_empty(path: str | bytes) -> None:
    """rmdir(2) of a directory that others may still use; one that is gone, not empty, mounted or linked to is fine."""
    try:
        os.rmdir(path)
    except OSError as error:
        linked = error.errno == errno.ENOTDIR and os.path.islink(path)
        if not linked and error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            raise KernelError.wrap(error, "rmdir", path) from error


def remove_empty_below(root: str, path: str) -> None:
    """Remove an empty file or directory below a root that nobody trusts; no symlink on the way is followed.

    One that is gone, or has content by now, is fine. Raises KernelError.
    """
    from . import openat2  # here: few tasks come to this

    directory, _slash, name = path.rpartition("/")
    inside = openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_SYMLINKS
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        parent = openat2.openat2(root_fd, directory or ".", os.O_PATH | os.O_DIRECTORY, resolve=inside)
    finally:
        os.close(root_fd)
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=parent)
        elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
            os.unlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise KernelError.wrap(error, "unlink", f"{root}/{path}") from error
    finally:
        os.close(parent)


def remove_tree(path: str | bytes) -> None:
    """Remove a directory and all below it, never following a symlink and never crossing into a mount (tree.remove).

    Raises KernelError(EBUSY) where something is mounted below it.
    """
    # Here: only removal needs them, and the container launcher imports this file.
    from . import tree
    from .mountinfo import read_mountinfo

    real = os.path.realpath(os.fsencode(path))
    inside = [m.target for m in read_mountinfo() if m.target == real or m.target.startswith(real + b"/")]
    if inside:
        raise KernelError(errno.EBUSY, "rmdir", inside[0], "Something is mounted there: unmount it first")
    above, name = os.path.split(os.fsencode(path).rstrip(b"/"))
    try:
        parent = os.open(above or b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            tree.remove(parent, name)
        finally:
            os.close(parent)
    except FileNotFoundError:
        pass
    except KernelError:
        raise
    except OSError as error:
        raise KernelError.wrap(error, "rmdir", path) from error


@contextlib.contextmanager
def locked(*names: str, when_busy: Callable[[], None] = lambda: None, mark: bool = False) -> Iterator[bool]:
    """Hold the host-wide locks of those names (flock(2) in /run), always taken in sorted order.

    Nothing is left of a lock that nobody waits for. ``when_busy`` is called before each wait for somebody else.
    ``mark`` is for one who will come back: it leaves marks, which whoever takes one of the locks removes. Yields
    whether those of this process from the last time are still there: nobody else has had any of the locks since.
    """
    with contextlib.ExitStack() as stack:
        paths = [_lock_path(name) for name in sorted(set(names))]
        for path in paths:
            _held[path] = _lock(path, when_busy)
            stack.callback(_unlock, _held[path], path)
        undisturbed = [_found_mark(path) for path in paths]
        for path in paths:
            remove_file(path + _MARK)  # ours, or that of one who is to know
        yield all(undisturbed)
        for path in paths if mark else ():
            _marks[path] = os.open(path + _MARK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(_marks[path], fcntl.LOCK_SH)  # it is somebody's


def remove_marks(*names: str) -> None:
    """One who left marks in locked() does not come back."""
    for name in names:
        if _found_mark(_lock_path(name)):
            remove_file(_lock_path(name) + _MARK)
    _remove_lock_directories()


def _found_mark(path: str) -> bool:
    """Whether this process left a mark at that lock, and it is still there."""
    own = _marks.pop(path, None)
    if own is None:
        return False
    try:
        return os.fstat(own).st_nlink > 0
    finally:
        os.close(own)


def is_locked(*names: str) -> bool:
    """Whether somebody holds one of these locks just now. Makes no file; it may be otherwise in a moment."""
    for name in names:
        try:
            fd = os.open(_lock_path(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
    return False


def held(*names: str) -> tuple[int, ...]:
    """The descriptors of those of these locks that this process holds.

    A program that is given one holds the lock, too: it stays taken until that has ended, also where we are killed.
    """
    return tuple(_held[path] for path in map(_lock_path, names) if path in _held)


def _lock_path(name: str) -> str:
    return f"{locations.LOCKS}/{name.replace('/', '%')}"


def _lock(path: str, when_busy: Callable[[], None]) -> int:
    """The descriptor of the locked file that has the name: whoever held it before us may have removed his."""
    while True:
        make_directory(locations.LOCKS, 0o700)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the directory went with somebody's last lock
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            when_busy()
            fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        os.close(fd)


def _unlock(fd: int, path: str) -> None:
    # While it is still ours: a later holder of the same name has another file.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    _held.pop(path, None)
    os.close(fd)
    if not _held:
        _remove_left_locks()
    _remove_lock_directories()


def _remove_lock_directories() -> None:
    for directory in (locations.LOCKS, locations.RUN):
        with contextlib.suppress(KernelError):
            remove_if_empty(directory)


def _remove_left_locks() -> None:
    """The files of locks that nobody holds: of runs that were killed."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(locations.LOCKS):
            _remove_left_lock(entry.path)


def _remove_left_lock(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                os.unlink(path)  # who waits for it since finds that the name is gone, and makes another (_lock)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
