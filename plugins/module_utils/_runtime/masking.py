# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Masked and read-only paths: what no namespace hides, config-linux.md.

Places below /proc and /sys are looked up from the very file system that was mounted there, without symlinks, so an
image cannot make us mask something else instead.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from .._kernel import mount, openat2
from .._kernel.errors import KernelError
from . import inroot
from .spec import Spec

_STRICT = mount.MOUNT_ATTR_RDONLY | mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NOEXEC


def hide(root_fd: int, spec: Spec, kernel_views: Mapping[str, int]) -> None:
    """Make readonly_paths read-only, then put something empty over masked_paths; missing ones are fine."""
    for path in spec.readonly_paths:
        _with(root_fd, path, kernel_views, _make_readonly)
    for path in spec.masked_paths:
        _with(root_fd, path, kernel_views, _mask)


def _with(root_fd: int, path: str, kernel_views: Mapping[str, int], action: object) -> None:
    fd = _find(root_fd, path, kernel_views)
    if fd is None:
        return
    try:
        action(fd)  # type: ignore[operator]
    except KernelError as error:
        error.path = path
        raise
    finally:
        os.close(fd)


def _find(root_fd: int, path: str, kernel_views: Mapping[str, int]) -> int | None:
    for place, view in kernel_views.items():
        if path == place or path.startswith(place + "/"):
            relative = path[len(place) :].lstrip("/") or "."
            try:
                return openat2.openat2(view, relative, os.O_PATH, resolve=inroot.STRICT)
            except KernelError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR):
                    return None
                raise
    return inroot.find(root_fd, path)


def _make_readonly(fd: int) -> None:
    tree = mount.open_tree(fd, b"", recursive=True)
    try:
        mount.mount_setattr(tree, b"", mount.MOUNT_ATTR_RDONLY, recursive=True)
        mount.move_mount(tree, b"", fd, b"")
    finally:
        os.close(tree)


def _mask(fd: int) -> None:
    """A directory gets an empty read-only tmpfs, anything else the host's own /dev/null (never the image's)."""
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        fs_fd = mount.fsopen("tmpfs")
        try:
            for key, value in (("source", "tmpfs"), ("size", "4k"), ("mode", "555"), ("nr_inodes", "1")):
                mount.fsconfig_set_string(fs_fd, key, value)
            mount.fsconfig_create(fs_fd)
            tree = mount.fsmount(fs_fd, _STRICT | mount.MOUNT_ATTR_NODEV)
        finally:
            os.close(fs_fd)
    else:
        tree = mount.open_tree(mount.AT_FDCWD, "/dev/null")
        # Not nodev: opening it shall show an empty file.
        mount.mount_setattr(tree, b"", _STRICT)
    try:
        mount.move_mount(tree, b"", fd, b"")
    finally:
        os.close(tree)
