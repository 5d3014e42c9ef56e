# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether anything can be kept in /var/lib/barekernel, which may be a link, a mount point, and on any file system.

Each function says in words what is in the way, and is empty where nothing is. They read, and try nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator

from . import locations
from .mountinfo import read_mountinfo

_MOST_LINKS = 40
#: Holds no upper layer and cannot be ID-mapped: the directory of the container that this host is, most likely.
_OVERLAY = "overlay"


def why_no_directory(path: str = locations.STATE) -> str:
    """What is there is no directory, or another user could put something else in its place."""
    try:
        for directory, name in _way(path):
            status = os.stat(directory)
            if status.st_uid or status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
                whose = f"belongs to user {status.st_uid}" if status.st_uid else "can be written to by other users"
                return (
                    f"{path}: {directory}, which leads there, {whose}, so {name} in it can be replaced; "
                    "use a directory to which only root's directories lead"
                )
        status = os.stat(path)
    except OSError as error:
        return _why_unreachable(path, error)
    return "" if stat.S_ISDIR(status.st_mode) else f"{path}: is not a directory; move it away"


def _why_unreachable(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        leads = (
            f"{path}: is a symbolic link to {os.readlink(path)}, which does not exist" if os.path.islink(path) else ""
        )
        return leads and f"{leads}; create that directory or remove the link"
    return f"{path}: {error.strerror}"


def _way(path: str) -> Iterator[tuple[str, str]]:
    """Each directory in which a name is looked up on the way to ``path``, with that name. Raises OSError."""
    names, here, links = path.strip("/").split("/")[::-1], "/", 0
    while names:
        name = names.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        yield here, name
        place = os.path.join(here, name)
        if stat.S_ISLNK(os.lstat(place).st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = os.readlink(place)
            here = "/" if target.startswith("/") else here
            names += target.split("/")[::-1]
        else:
            here = place


def why_read_only(directories: Iterable[str]) -> str:
    """The file system cannot be written to, of those directories or where they will be made."""
    for path in directories:
        there = _existing(path)
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            return f"{path}: {there} is on a file system that is mounted read-only; mount it for writing"
    return ""


def why_unfit(directories: Iterable[str], layers: bool) -> str:
    """The file system lacks what our programs need, or with ``layers`` what containers do."""
    types = {mount.device: mount.fstype for mount in read_mountinfo()} if layers else {}
    for path in directories:
        there = _existing(path)
        if os.statvfs(there).f_flag & os.ST_NOEXEC:
            return (
                f"{path}: {there} is on a file system that is mounted noexec; mount it exec, as programs run from there"
            )
        if layers and not _keeps_attributes(there):
            return (
                f"{path}: the file system of {there} keeps no extended attributes (trusted.*); use ext4, xfs or btrfs"
            )
        device = os.stat(there).st_dev
        if types.get(f"{os.major(device)}:{os.minor(device)}") == _OVERLAY:
            return f"{path}: {there} is on overlayfs, which holds no container's layers; mount another file system"
    return ""


def _existing(path: str) -> str:
    """It, or the directory nearest above it that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _keeps_attributes(path: str) -> bool:
    try:
        os.getxattr(path, locations.MARK_XATTR)
    except OSError as error:
        return error.errno != errno.EOPNOTSUPP
    return True
