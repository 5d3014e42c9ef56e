# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overlay mounts on every kernel from 5.11, https://docs.kernel.org/filesystems/overlayfs.html.

Two ways lead to the same detached mount, which the caller attaches where it belongs:

- a file-system context (fsopen), where the kernel takes layers one by one: Linux 6.7;
- mount(2) in a child with a mount namespace of its own (overlay_by_mount.py): older kernels, and those before 6.15
  when layers are ID-mapped, because they refuse detached mounts as layers.

Only the standard library is used and little of it: the container launcher imports this on its start path.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Union

from . import idmap as idmap_
from . import mount
from .errors import KernelError

#: OVL_MAX_STACK of the kernel.
MAX_LOWERDIRS = 500
#: Which interface makes the mount: chosen by what the kernel can do, or forced (tests).
AUTO, CONTEXT, MOUNT = "auto", "fsopen", "mount"
Idmap = Union[int, idmap_.IdRange, None]


class Request(NamedTuple):
    """An overlay to make: absolute paths as bytes, topmost lower layer first, options as mount(8) writes them."""

    lowerdirs: tuple[bytes, ...]
    upperdir: bytes | None
    workdir: bytes | None
    options: tuple[str, ...]
    attributes: int
    source: str

    @property
    def needs_empty_layer(self) -> bool:
        """Overlayfs refuses one lower layer alone; an empty one below it changes nothing that can be seen."""
        return self.upperdir is None and len(self.lowerdirs) == 1


def mount_overlay(
    target: mount.Path,
    lowerdirs: Sequence[mount.Path],
    upperdir: mount.Path | None = None,
    workdir: mount.Path | None = None,
    *,
    options: Sequence[str] = (),
    attributes: int = 0,
    source: str = "barekernel:overlay",
    idmap: Idmap = None,
    target_fd: int = mount.AT_FDCWD,
    interface: str = AUTO,
) -> None:
    """Mount an overlay at ``target``, or, when that is empty, on what the O_PATH descriptor ``target_fd`` shows.

    The arguments are those of overlay_tree. Raises KernelError; then nothing is mounted.
    """
    fd = overlay_tree(
        lowerdirs,
        upperdir,
        workdir,
        options=options,
        attributes=attributes,
        source=source,
        idmap=idmap,
        interface=interface,
    )
    try:
        mount.move_mount(fd, b"", target_fd, target)
    finally:
        os.close(fd)


def overlay_tree(
    lowerdirs: Sequence[mount.Path],
    upperdir: mount.Path | None = None,
    workdir: mount.Path | None = None,
    *,
    options: Sequence[str] = (),
    attributes: int = 0,
    source: str = "barekernel:overlay",
    idmap: Idmap = None,
    interface: str = AUTO,
) -> int:
    """A new overlay as a detached mount: the descriptor to give to mount.move_mount and then to close.

    lowerdirs: 1 to 500 directories, topmost first, absolute, any bytes. upperdir and workdir: both or neither (then
    the overlay is read-only), both in one mount. options: such as ("metacopy=on", "volatile"). attributes:
    mount.MOUNT_ATTR_*. source: what mountinfo shows as source, up to 255 bytes.
    idmap: shows all layers' owners shifted, and stores what is written un-shifted: (host_id, size), or a descriptor
    of a user namespace whose map says so.

    Raises KernelError with the layer's path, the kernel's own words where it has any, and a hint.
    """
    request = Request(
        lowerdirs=tuple(os.fsencode(path) for path in lowerdirs),
        upperdir=os.fsencode(upperdir) if upperdir is not None else None,
        workdir=os.fsencode(workdir) if workdir is not None else None,
        options=tuple(options),
        attributes=attributes,
        source=source,
    )
    _check(request)
    with _user_namespace(idmap) as userns_fd:
        try:
            return _writable(request, _make(request, userns_fd, interface))
        except KernelError as error:
            error.hint = error.hint or _advice(request, error.errno or 0, userns_fd is not None)
            raise


def takes_layers_one_by_one() -> bool:
    """Whether a file-system context accepts ``lowerdir+`` (Linux 6.7): asked of the kernel, mounting nothing."""
    try:
        fs_fd = mount.fsopen("overlay")
    except KernelError as error:
        if error.errno == errno.ENOSYS:
            return False
        error.hint = "The kernel has no overlayfs: modprobe overlay, or a kernel built with CONFIG_OVERLAY_FS"
        raise
    try:
        # Kernels that know the option look the path up at once; the comma is what all older ones refuse.
        mount.fsconfig_set_string(fs_fd, "lowerdir+", b"/proc/self/no,such")
    except KernelError as error:
        return error.errno == errno.ENOENT
    finally:
        os.close(fs_fd)
    return False


def _check(request: Request) -> None:
    if not 1 <= len(request.lowerdirs) <= MAX_LOWERDIRS:
        hint = f"overlayfs takes 1 to {MAX_LOWERDIRS} lower layers, not {len(request.lowerdirs)}"
        raise KernelError(errno.EINVAL, "mount", None, hint)
    if (request.upperdir is None) != (request.workdir is None):
        hint = "upperdir and workdir go together"
        raise KernelError(errno.EINVAL, "mount", request.upperdir or request.workdir, hint)


@contextlib.contextmanager
def _user_namespace(idmap: Idmap) -> Iterator[int | None]:
    """The descriptor given, or one of a namespace made for the range and closed afterwards."""
    if idmap is None or isinstance(idmap, int):
        yield idmap
        return
    fd = idmap_.user_namespace(*idmap)
    try:
        yield fd
    finally:
        os.close(fd)


def _make(request: Request, userns_fd: int | None, interface: str) -> int:
    if interface == CONTEXT or (interface == AUTO and takes_layers_one_by_one()):
        try:
            return _by_context(request, userns_fd)
        except KernelError as error:
            detached = userns_fd is not None or request.needs_empty_layer
            if interface == CONTEXT or not detached or error.errno != errno.EINVAL:
                raise
    from .overlay_by_mount import overlay_by_mount  # imported here: new kernels never need it

    return overlay_by_mount(request, userns_fd)


def _writable(request: Request, fd: int) -> int:
    """The mount, refused if the kernel silently made it read-only because it could not use workdir."""
    asked_for = request.upperdir is None or request.attributes & mount.MOUNT_ATTR_RDONLY
    if not asked_for and os.fstatvfs(fd).f_flag & os.ST_RDONLY:
        os.close(fd)
        hint = "The kernel could only mount it read-only: it cannot write to workdir; dmesg says why"
        raise KernelError(errno.EROFS, "mount", request.workdir, hint)
    return fd


def _by_context(request: Request, userns_fd: int | None) -> int:
    """The overlay through fsopen, fsconfig and fsmount."""
    with contextlib.ExitStack() as stack:
        fs_fd = _closing(stack, mount.fsopen("overlay"))
        mount.fsconfig_set_string(fs_fd, "source", request.source)
        setter = _DirectorySetter(fs_fd, mapped=userns_fd is not None)
        for path in request.lowerdirs:
            setter.give("lowerdir+", _closing(stack, layer_tree(path, userns_fd)), path)
        if request.needs_empty_layer:
            setter.give("lowerdir+", _closing(stack, empty_layer()), None)
        owner = None
        if request.upperdir is not None and request.workdir is not None:
            upper_fd, work_fd = writable_layer(stack, request.upperdir, request.workdir, userns_fd)
            setter.give("upperdir", upper_fd, request.upperdir)
            setter.give("workdir", work_fd, request.workdir)
            owner = os.fstat(upper_fd) if userns_fd is not None else None
        for option in request.options:
            key, separator, value = option.partition("=")
            if separator:
                mount.fsconfig_set_string(fs_fd, key, value)
            else:
                mount.fsconfig_set_flag(fs_fd, key)
        with idmap_.creating_as(owner):
            mount.fsconfig_create(fs_fd)
        return mount.fsmount(fs_fd, request.attributes)


class _DirectorySetter:
    """Gives directories to an overlay context: by descriptor where it takes O_PATH ones, else by a string."""

    def __init__(self, fs_fd: int, mapped: bool) -> None:
        self.fs_fd = fs_fd
        self.mapped = mapped
        self.by_descriptor = True

    def give(self, key: str, fd: int, path: bytes | None) -> None:
        try:
            if self.by_descriptor:
                try:
                    mount.fsconfig_set_fd(self.fs_fd, key, fd)
                    return
                except KernelError as error:
                    # EINVAL: overlayfs takes no descriptors yet. EBADF: fsconfig takes none that is only O_PATH.
                    if error.errno not in (errno.EINVAL, errno.EBADF):
                        raise
                    self.by_descriptor = False
            mount.fsconfig_set_string(self.fs_fd, key, self._name(key, fd, path))
        except KernelError as error:
            raise KernelError(error.errno or 22, f"fsconfig {key}", path, error.hint, error.detail) from error

    def _name(self, key: str, fd: int, path: bytes | None) -> bytes:
        """The path itself where the kernel takes it as it is, so that mountinfo shows it; else a link to it."""
        unescaped = key != "lowerdir+"  # the kernel takes backslashes off upperdir and workdir, and off these alone
        if path is None or self.mapped or len(path) > mount.FSCONFIG_STRING_MAX or (unescaped and b"\\" in path):
            return b"/proc/self/fd/%d" % fd
        return path


def layer_tree(path: bytes, userns_fd: int | None) -> int:
    """A descriptor of a layer's directory, a detached ID-mapped copy of it when a user namespace is given."""
    if userns_fd is None:
        return open_directory(path)
    os.close(open_directory(path))  # a file would be refused much later, with fewer words
    return idmap_.clone(mount.AT_FDCWD, path, userns_fd)


def open_directory(path: mount.Path, dir_fd: int | None = None) -> int:
    """An O_PATH descriptor of a directory. Raises KernelError (ENOENT, ENOTDIR) naming it."""
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error


def empty_layer() -> int:
    """A detached, empty, read-only tmpfs."""
    fs_fd = mount.fsopen("tmpfs")
    try:
        mount.fsconfig_set_string(fs_fd, "mode", "0755")
        mount.fsconfig_create(fs_fd)
        return mount.fsmount(fs_fd, mount.MOUNT_ATTR_RDONLY)
    finally:
        os.close(fs_fd)


def writable_layer(
    stack: contextlib.ExitStack, upperdir: bytes, workdir: bytes, userns_fd: int | None
) -> tuple[int, int]:
    """Descriptors of upperdir and workdir; ID-mapped, both in one copy of the mount they share, as the kernel asks."""
    if userns_fd is None:
        return _closing(stack, open_directory(upperdir)), _closing(stack, open_directory(workdir))
    common, upper, work = common_tree(upperdir, workdir)
    tree = _closing(stack, idmap_.clone(mount.AT_FDCWD, common, userns_fd))
    return _closing(stack, open_directory(upper, tree)), _closing(stack, open_directory(work, tree))


def common_tree(upperdir: bytes, workdir: bytes) -> tuple[bytes, bytes, bytes]:
    """The nearest directory above both (symlinks resolved), and both relative to it.

    Raises KernelError(EXDEV) where that directory is not in the mount of both: one copy cannot then show both.
    """
    upper, work = os.path.realpath(upperdir), os.path.realpath(workdir)
    common = os.path.commonpath([upper, work])
    mounts = set()
    for path in (upper, work, common):
        fd = open_directory(path)
        try:
            mounts.add(mount.mount_id(fd))
        finally:
            os.close(fd)
    if len(mounts) != 1:
        hint = "With ID-mapped layers put upperdir and workdir into one directory of the file system that holds them"
        raise KernelError(errno.EXDEV, "open_tree", common, hint)
    return common, os.path.relpath(upper, common), os.path.relpath(work, common)


def _closing(stack: contextlib.ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd


def _advice(request: Request, number: int, mapped: bool) -> str:
    """What an errno of overlayfs means here; the kernel's own words are only in its log (dmesg) for mount(2)."""
    if request.workdir and os.path.isdir(os.path.join(request.workdir, b"work/incompat/volatile")):
        return "A volatile overlay left this workdir marked: its upperdir may be incomplete after a crash"
    if number == errno.EINVAL and mapped:
        return "Overlayfs takes ID-mapped layers from Linux 5.19; dmesg may say more"
    return {
        errno.EINVAL: "upperdir and workdir must be apart, in one mount, on a file system that can hold an upper "
        "layer (not overlay, NFS or vfat), and the options must be known to this kernel; dmesg may say more",
        errno.ELOOP: "Two of the layers are the same directory, or one lies inside another",
        errno.ESTALE: "The upperdir was used with other lower layers, which index or nfs_export does not allow",
        errno.EBUSY: "upperdir or workdir is in use by another overlay",
        errno.ENODEV: "The kernel has no overlayfs: modprobe overlay",
        errno.EPERM: "Mounting needs root (CAP_SYS_ADMIN)",
        errno.EROFS: "upperdir and workdir must be writable",
        errno.E2BIG: "These layers do not fit into one call of mount(2)",
    }.get(number, "")
