# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Masked and read-only paths: what no namespace hides, config-linux.md.

Places below /proc and /sys are looked up from the very file system that was mounted there, without symlinks, so an
image cannot make us mask something else instead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Mapping

from ..._kernel import mount, openat2
from ..._kernel.errors import KernelError
from ..bundle.spec import Spec
from . import inroot
from .mounting import Helped, Here, Placed

_STRICT = mount.MOUNT_ATTR_RDONLY | mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NOEXEC


def hide(hands: Here | Helped, root_fd: int, spec: Spec, kernel_views: Mapping[str, int]) -> None:
    """Make readonly_paths read-only, then put something empty over masked_paths; missing ones are fine."""
    with contextlib.ExitStack() as stack:
        places = _found(stack, root_fd, spec.readonly_paths, kernel_views)
        shown = [Placed(fd, fd, path) for path, fd in places.items()]
        hands.bind(shown, mount.MOUNT_ATTR_RDONLY, recursive=True)
        places = _found(stack, root_fd, spec.masked_paths, kernel_views)
        empty = [Placed(_opened(stack, _empty(fd)), fd, path) for path, fd in places.items()]
        hands.attach(empty)


def _opened(stack: contextlib.ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd


def _found(
    stack: contextlib.ExitStack, root_fd: int, paths: Iterable[str], kernel_views: Mapping[str, int]
) -> dict[str, int]:
    """Those of the paths that there are, opened."""
    places = {}
    for path in paths:
        try:
            fd = _find(root_fd, path, kernel_views)
        except KernelError as error:
            error.path = path
            raise
        if fd is not None:
            places[path] = _opened(stack, fd)
    return places


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


def _empty(place: int) -> int:
    """For a directory an empty read-only tmpfs, for anything else the host's own /dev/null (never the image's)."""
    if not stat.S_ISDIR(os.fstat(place).st_mode):
        tree = mount.open_tree(mount.AT_FDCWD, "/dev/null")
        # Not nodev: opening it shall show an empty file.
        mount.mount_setattr(tree, b"", _STRICT)
        return tree
    fs_fd = mount.fsopen("tmpfs")
    try:
        for key, value in (("source", "tmpfs"), ("size", "4k"), ("mode", "555"), ("nr_inodes", "1")):
            mount.fsconfig_set_string(fs_fd, key, value)
        mount.fsconfig_create(fs_fd)
        return mount.fsmount(fs_fd, _STRICT | mount.MOUNT_ATTR_NODEV)
    finally:
        os.close(fs_fd)
