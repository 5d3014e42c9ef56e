# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps that build a small image: directories, copied files, links, commands.

Everything happens in a child that is kept apart: nothing it starts or mounts outlives it. Paths inside the image are
resolved with openat2(RESOLVE_IN_ROOT). A command is as isolated as a container: it runs in a user namespace, for which
the image is mounted with its IDs shifted, where the kernel can do that.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._kernel import idmap, mount, mount_overlay, openat2, subids, userns
from ..._kernel.errors import BareKernelError, KernelError
from ..._kernel.file_mode import mode_after
from ..errors import ImageError
from ..store import disk
from ..store.workers import Report
from . import copied

_RESOLVE = openat2.RESOLVE_IN_ROOT | openat2.RESOLVE_NO_MAGICLINKS
_SHOWN = 4000
_MOUNT_POINTS = ("proc", "dev")
_O_DIR = os.O_RDONLY | os.O_DIRECTORY
_OVERLAY = ("redirect_dir=off", "metacopy=off", "index=off")
#: The last block of systemd's range for containers (systemd.io/UIDS-GIDS), which no container of ours has.
_BUILD_IDS = (1878982656, 65536)
#: How a command is run: root, working directory, argv, env, idmap and network to exit status and output.
Run_ = Callable[..., "tuple[int, bytes]"]


@dataclass(frozen=True)
class MakeDirectory:
    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class CopyFile:
    """A file or directory of the host; mode None keeps the file's own, symbols (``u+x``) change it."""

    src: str
    dest: str
    mode: int | str | None = None
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Link:
    """A symbolic link; the target is text."""

    path: str
    target: str


@dataclass(frozen=True)
class Run:
    """A command, as arguments."""

    argv: tuple[str, ...]
    network: bool = False
    env: tuple[str, ...] = ()


class _View:
    """The tree by itself, or as the upper directory above ``lowerdirs``: for the host, or shifted for a command.

    Never both at once: an upper directory is for one overlay.
    """

    def __init__(self, lowerdirs: tuple[str, ...], tree: str, workdir: str, target: str) -> None:
        self._lowerdirs, self.tree, self._workdir, self.target = lowerdirs, tree, workdir, target
        self._mounted = ""

    @functools.cached_property
    def idmap(self) -> tuple[int, int] | None:
        """The IDs that commands run with; None where the image cannot be shown with its owners shifted."""
        if userns.why_no_idmapped_layers() or not _can_shift(self.tree):
            return None
        for one in subids.granted():
            if one.overlaps(*_BUILD_IDS):
                ids = f"{_BUILD_IDS[0]} to {sum(_BUILD_IDS) - 1}"
                raise ImageError(
                    f"build.run: it runs with the IDs {ids}, of which {one.file} gives some to {one.user}",
                    "Give that user other IDs there",
                )
        return _BUILD_IDS

    def plain(self) -> str:
        if not self._lowerdirs:
            self.unmount()
            return self.tree
        self._mount("plain", None)
        return self.target

    def shifted(self) -> str:
        self._mount("shifted", self.idmap)
        return self.target

    def _mount(self, kind: str, ids: tuple[int, int] | None) -> None:
        if self._mounted == kind:
            return
        self.unmount()
        # A device node of the base would else be the host's device.
        nodev = mount.MOUNT_ATTR_NODEV
        if self._lowerdirs:
            layers = (self._lowerdirs, self.tree, self._workdir)
            mount_overlay.mount_overlay(self.target, *layers, options=_OVERLAY, attributes=nodev, idmap=ids)
        else:
            self._bind(ids, nodev)
        self._mounted = kind

    def _bind(self, ids: tuple[int, int] | None, attributes: int) -> None:
        userns_fd = idmap.user_namespace(*ids) if ids else None
        fd = idmap.clone(mount.AT_FDCWD, self.tree, userns_fd)
        try:
            mount.mount_setattr(fd, b"", attributes)
            mount.move_mount(fd, b"", mount.AT_FDCWD, self.target)
        finally:
            os.close(fd)
            if userns_fd is not None:
                os.close(userns_fd)

    def unmount(self) -> None:
        if self._mounted:
            mount.umount2(self.target)
            self._mounted = ""


def _can_shift(directory: str) -> bool:
    """Whether its file system takes ID-mapped mounts: tmpfs does from Linux 6.3 on, overlayfs and others never."""
    userns_fd = idmap.user_namespace(*_BUILD_IDS)
    try:
        os.close(idmap.clone(mount.AT_FDCWD, directory, userns_fd))
    except KernelError as error:
        if error.errno not in (errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP):
            raise
        return False
    finally:
        os.close(userns_fd)
    return True


def perform(
    steps: tuple[Any, ...],
    lowerdirs: tuple[str, ...],
    tree: str,
    workdir: str,
    merged: str,
    run: Run_,
    report: Report,
) -> Mapping[str, Any]:
    """All steps, in order, on ``tree``: by itself, or as the upper directory above ``lowerdirs``.

    Runs in a child that is kept apart (workers.run_apart). Raises ImageError, KernelError.
    """
    view = _View(lowerdirs, tree, workdir, merged)
    for number, step in enumerate(steps, 1):
        report({"phase": f"building step {number} of {len(steps)}:", "text": describe(step)})
        if isinstance(step, Run):
            _run(view, step, run)
            continue
        root = os.open(view.plain(), _O_DIR | os.O_CLOEXEC)
        try:
            _PERFORM[type(step)](root, step)
        except KernelError:
            raise
        except OSError as error:
            raise KernelError.wrap(error, "build", describe(step)) from error
        finally:
            os.close(root)
    view.unmount()
    return {}


def describe(step: Any) -> str:
    """A step as progress and history show it."""
    if isinstance(step, MakeDirectory):
        return f"directory {step.path}"
    if isinstance(step, CopyFile):
        return f"copy {step.dest}"
    if isinstance(step, Link):
        return f"link {step.path} -> {step.target}"
    return "run " + " ".join(step.argv)


def details(step: Any) -> str:
    """A step with every value that was declared for it."""
    if isinstance(step, MakeDirectory):
        return f"directory {step.path} (mode {step.mode:04o}, owner {step.uid}:{step.gid})"
    if isinstance(step, CopyFile):
        mode = (
            "its own mode"
            if step.mode is None
            else f"mode {step.mode if isinstance(step.mode, str) else f'{step.mode:04o}'}"
        )
        return f"copy {step.src} to {step.dest} ({mode}, owner {step.uid}:{step.gid})"
    return describe(step) + (" (with the host's network)" if isinstance(step, Run) and step.network else "")


def _make_directory(root: int, step: MakeDirectory) -> None:
    fd = _directory(root, step.path)
    try:
        os.fchown(fd, step.uid, step.gid)
        os.fchmod(fd, step.mode)
    finally:
        os.close(fd)


def _directory(root: int, path: str) -> int:
    """A directory inside the image, made with its parents where it is missing."""
    return _reach(root, path)[0]


def _reach(root: int, path: str) -> tuple[int, bool]:
    """The same, and whether it was made."""
    path = path.strip("/")
    try:
        return openat2.openat2(root, path or ".", _O_DIR, resolve=_RESOLVE), False
    except KernelError as error:
        if error.errno != 2 or not path:
            raise
    above, _slash, name = path.rpartition("/")
    parent = _directory(root, above)
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
        os.chmod(name, 0o755, dir_fd=parent)
    except FileExistsError:
        raise ImageError(f"/{path} in the image is a link that leads nowhere") from None
    finally:
        os.close(parent)
    return openat2.openat2(root, path, _O_DIR, resolve=_RESOLVE), True


def _copy(root: int, step: CopyFile) -> None:
    dest = step.dest.strip("/")
    with contextlib.closing(copied.entries(step.src)) as found:
        for entry in found:
            to = os.path.join(dest, entry.inside) if entry.inside else dest
            if stat.S_ISDIR(entry.status.st_mode):
                _copy_directory(root, entry, to, step)
            else:
                _copy_one(root, entry, to, step)


def _copy_directory(root: int, entry: copied.Entry, dest: str, step: CopyFile) -> None:
    """One that the image has stays as it is: /etc is not the owner's of what is copied into it."""
    fd, made = _reach(root, dest)
    try:
        if made:
            os.fchown(fd, step.uid, step.gid)
            os.fchmod(fd, stat.S_IMODE(entry.status.st_mode))
    finally:
        os.close(fd)


def _copy_one(root: int, entry: copied.Entry, dest: str, step: CopyFile) -> None:
    above, _slash, name = dest.rpartition("/")
    parent = _directory(root, above)
    try:
        _make_way(parent, name, dest)
        if stat.S_ISLNK(entry.status.st_mode):
            os.symlink(entry.target, name, dir_fd=parent)
            os.chown(name, step.uid, step.gid, dir_fd=parent, follow_symlinks=False)
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=parent), "wb") as target:
            if entry.fd >= 0:
                with open(entry.fd, "rb", closefd=False) as source:
                    shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fchown(target.fileno(), step.uid, step.gid)
            mode = _mode_of(step, stat.S_IMODE(entry.status.st_mode))
            os.fchmod(target.fileno(), mode)
    except KernelError:
        raise
    except OSError as error:
        # What is full is where it goes, and nothing of the host is to be looked for under that name.
        raise KernelError.wrap(error, "copy", f"to /{dest}" if error.errno in disk.FULL else entry.path) from error
    finally:
        os.close(parent)


def _mode_of(step: CopyFile, own: int) -> int:
    return own if step.mode is None else mode_after(step.mode, own, is_directory=False)


def _make_way(parent: int, name: str, shown: str) -> None:
    """What a base image has at a name gives way, unless it is a directory."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"/{shown} is a directory in the image", "Name the file itself as the destination")
    os.unlink(name, dir_fd=parent)


def _link(root: int, step: Link) -> None:
    above, _slash, name = step.path.strip("/").rpartition("/")
    parent = _directory(root, above)
    try:
        _make_way(parent, name, step.path.strip("/"))
        os.symlink(step.target, name, dir_fd=parent)
    finally:
        os.close(parent)


def _run(view: _View, step: Run, run: Run_) -> None:
    """The command's output goes into the error when it fails."""
    root = view.shifted()
    made = [name for name in _MOUNT_POINTS if not os.path.lexists(f"{root}/{name}")]
    words = " ".join(step.argv)
    try:
        status, output = run(root, f"{root}-run", step.argv, step.env, view.idmap, step.network)
    except KernelError:
        raise
    except BareKernelError as error:
        raise ImageError(f"run: {words!r}: {error}") from None
    finally:
        _forget(view, made)
    if status != 0:
        said = output[-_SHOWN:].decode("utf-8", "replace").strip()
        raise ImageError(f"run: {words!r} ended with status {status}" + (f": {said}" if said else ""))


def _forget(view: _View, names: list[str]) -> None:
    """Mount points that the runtime had to make are not the image's."""
    if not names:
        return
    view.unmount()
    for name in names:
        with contextlib.suppress(OSError):  # it was not made, or the command has put something there
            os.rmdir(f"{view.tree}/{name}")


_PERFORM: dict[type, Any] = {MakeDirectory: _make_directory, CopyFile: _copy, Link: _link}
