# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overlays through mount(2), for kernels whose file-system contexts do not take layers one by one.

A child with a mount namespace of its own makes the overlay and sends it back as a detached mount, so nothing is ever
attached on the host for a moment, and a kill at any point leaves nothing.

Layers are named in the option string by their own paths where those fit into the 4095 bytes that mount(2) reads; then
mountinfo shows them. Otherwise, and when they are ID-mapped, copies of them are attached under short names.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
from typing import TYPE_CHECKING, NamedTuple

from . import idmap, libc, mount, overlay_options
from .errors import KernelError

if TYPE_CHECKING:
    from .mount_overlay import Request

CLONE_NEWNS = 0x00020000
#: The child's staging directory is a tmpfs here: the one directory that surely exists and holds no layer.
_STAGE = "/proc"


def overlay_by_mount(request: Request, userns_fd: int | None) -> int:
    """A detached overlay mount made by mount(2). Raises KernelError."""
    import _socket  # imported here: new kernels never need it ("socket" costs thirty times as much)

    from .mount_overlay import open_directory

    for path in (*request.lowerdirs, request.upperdir, request.workdir):
        if path is not None:
            os.close(open_directory(path))  # mount(2) would not say which one

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        _child(theirs, request, userns_fd)
    theirs.close()
    try:
        size = _socket.CMSG_LEN(4)
        answer, ancillary, _flags, _address = ours.recvmsg(65536, size, _socket.MSG_CMSG_CLOEXEC)
    finally:
        ours.close()
        os.waitpid(pid, 0)
    if ancillary:
        return int.from_bytes(ancillary[0][2][:4], "little" if _little_endian() else "big")
    if not answer:
        raise KernelError(errno.EIO, "mount", None, "The process that makes the mount ended too early")
    raise KernelError(*marshal.loads(answer))


def _little_endian() -> bool:
    import sys

    return sys.byteorder == "little"


def _child(channel: object, request: Request, userns_fd: int | None) -> None:
    """Make the mount, send its descriptor or the refusal; never returns."""
    import _socket
    import sys

    if not isinstance(channel, _socket.socket):
        raise TypeError("not a socket")
    try:
        try:
            fd = _make(request, userns_fd)
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
            channel.sendmsg([b"ok"], rights)
        except OSError as error:
            refusal = error if isinstance(error, KernelError) else KernelError.wrap(error, "mount")
            packed = (refusal.errno, refusal.syscall, refusal.path, refusal.hint, refusal.detail)
            channel.send(marshal.dumps(packed))
    finally:
        os._exit(0)


def _make(request: Request, userns_fd: int | None) -> int:
    libc.call("unshare", CLONE_NEWNS)
    mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
    lowerdirs = (*request.lowerdirs, b"empty") if request.needs_empty_layer else request.lowerdirs
    data = overlay_options.join(lowerdirs, request.upperdir, request.workdir, request.options)
    with contextlib.ExitStack() as stack:
        owner = None
        if userns_fd is None and len(data) <= mount.MOUNT_DATA_MAX:
            _open_stage()
        else:
            copies = _copies(stack, request, userns_fd)
            _open_stage()
            data = _attach(copies, request)
            owner = os.stat("upper") if userns_fd is not None and request.upperdir is not None else None
        try:
            with idmap.creating_as(owner):
                mount.mount(request.source, "target", "overlay", 0, data)
        except KernelError as error:
            where = request.upperdir or request.lowerdirs[0]
            raise KernelError(error.errno or errno.EINVAL, "mount", where, error.hint) from error
        if request.attributes:
            flags = mount.MS_REMOUNT | mount.MS_BIND | mount.mount_flags(request.attributes)
            mount.mount(None, "target", None, flags)
        return mount.open_tree(mount.AT_FDCWD, "target")


def _open_stage() -> None:
    """A private tmpfs to work in, with the overlay's mount point and the empty layer."""
    mount.mount("barekernel", _STAGE, "tmpfs", 0, b"mode=0711")
    os.chdir(_STAGE)
    os.mkdir("target")
    os.mkdir("empty", 0o755)
    os.chmod("empty", 0o755)


class _Copies(NamedTuple):
    """Detached copies of the lower layers and of the tree that holds upperdir and workdir (relative to it)."""

    lower: list[int]
    writable: int | None
    upper: bytes
    work: bytes


def _copies(stack: contextlib.ExitStack, request: Request, userns_fd: int | None) -> _Copies:
    """Copy every layer, before the stage hides anything."""
    from .mount_overlay import common_tree

    def copy(path: bytes) -> int:
        fd = idmap.clone(mount.AT_FDCWD, path, userns_fd)
        stack.callback(os.close, fd)
        return fd

    lower = [copy(path) for path in request.lowerdirs]
    if request.upperdir is None or request.workdir is None:
        return _Copies(lower, None, b"", b"")
    common, upper, work = common_tree(request.upperdir, request.workdir)
    return _Copies(lower, copy(common), upper, work)


def _attach(copies: _Copies, request: Request) -> bytes:
    """Attach the copies under short names; returns the option string that uses these."""
    names = [b"%d" % number for number in range(len(copies.lower))]
    for name, fd in zip(names, copies.lower):
        os.mkdir(name)
        mount.move_mount(fd, b"", mount.AT_FDCWD, name)
    if copies.writable is None:
        lowerdirs = (*names, b"empty") if request.needs_empty_layer else tuple(names)
        return overlay_options.join(lowerdirs, None, None, request.options)
    os.mkdir("writable")
    mount.move_mount(copies.writable, b"", mount.AT_FDCWD, "writable")
    os.symlink(os.path.join(b"writable", copies.upper), b"upper")
    os.symlink(os.path.join(b"writable", copies.work), b"work")
    return overlay_options.join(names, b"upper", b"work", request.options)
