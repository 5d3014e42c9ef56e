# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places of mounts below other mounts, where nobody can make what is missing: the start would fail after the stop.

The runtime makes them as the container's root. Only what is known for sure is told; what is not, the runtime finds out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._image.layers.find import Stack
from .._runtime.bundle.defaults import default_mounts
from .observe_covered import DEVICES
from .observe_mount_points import is_of_file
from .observed import Unusable
from .records import FIRST_ID, Container, ContainerMount

_READ_ONLY = ("ro", "rro")
#: What each namespace, or each process, has of its own in these file systems: the host's tells nothing of it.
_OWN = {"proc": ("net", "sys/net", "self", "thread-self"), "sysfs": ("class/net", "devices/virtual/net")}
#: Where a kernel shows a file system to whoever looks at the host's.
_OF_HOST = {"proc": "/proc", "sysfs": "/sys"}


@dataclass(frozen=True)
class _Holder:
    """What is mounted where: a file system that the runtime makes, or a declared mount."""

    kind: str
    declared: ContainerMount | None = None


def misplaced(
    container: Container, volumes: tuple[ContainerMount, ...], root: Stack, own_ids: bool, coming: Mapping[str, bool]
) -> Iterator[Unusable]:
    """Targets that do not exist and cannot be made, or are of the other kind.

    ``volumes`` are those of the image, ``own_ids`` whether the container has a user namespace of its own, ``coming``
    sources that are yet to be made.
    """
    if len(container.mounts) == 0:
        return
    holders = {mount["destination"]: _Holder(mount["type"]) for mount in default_mounts()}
    for mount in (*volumes, *container.mounts):
        holders[root.find(mount.target).path] = _Holder(mount.kind, mount)
    for index, mount in enumerate(container.mounts):
        path = root.find(mount.target).path
        above = [at for at in holders if path.startswith(at.rstrip("/") + "/") and at != path]
        if not above or mount.source in coming:
            continue
        at = max(above, key=len)
        why = _why(at, holders[at], path[len(at.rstrip("/")) + 1 :], is_of_file(mount), own_ids, coming)
        if why:
            advice = "" if why.endswith(", or") else ":"
            yield Unusable(f"mounts[{index}].target", mount.target, f"{why}{advice} choose another target")


def _why(at: str, holder: _Holder, below: str, file: bool, own_ids: bool, coming: Mapping[str, bool]) -> str:
    """Why nothing can be mounted at that path below a mount; empty where that can be, or is not known."""
    if holder.declared is None:
        return _below_kernels(at, holder.kind, below, file)
    if holder.kind == "tmpfs":
        return f"is below {at}, which is empty and read-only" if _is_read_only(holder.declared) else ""
    source = holder.declared.source or ""
    if holder.kind != "bind" or source in coming:
        return ""
    return _below_bind(at, holder.declared, source, below, file, own_ids)


def _below_kernels(at: str, kind: str, below: str, file: bool) -> str:
    first = below.split("/")[0]
    if kind in _OF_HOST:
        if first.isdigit() or any(below == own or below.startswith(own + "/") for own in _OWN[kind]):
            return ""
        nothing = f"is below {at}, where the kernel shows nothing of that name"
        return _missing(at, f"{_OF_HOST[kind]}/{below}", file, nothing)
    if at == "/dev" and first in DEVICES and "/" in below:
        return f"is below {at}/{first}, which is a device"
    if kind == "devpts" and first != "ptmx" and not first.isdigit():
        return f"is below {at}, where the kernel lets nobody create anything"
    if kind == "mqueue" and (not file or "/" in below):
        return f"is below {at}, where the kernel lets nobody create a directory"
    return f"is below {at}, which is read-only" if kind == "cgroup2" and "." not in first else ""


def _below_bind(at: str, holder: ContainerMount, source: str, below: str, file: bool, own_ids: bool) -> str:
    deepest = source
    for name in below.split("/"):
        path = f"{deepest}/{name}"
        if os.path.islink(path):
            return ""  # in the container it leads to somewhere else
        if not os.path.lexists(path):
            break
        deepest = path
    else:
        return _missing(at, deepest, file, "")
    try:
        status, system = os.stat(deepest), os.statvfs(deepest)
    except OSError:
        return ""
    if not stat.S_ISDIR(status.st_mode):
        return f"is below {at}, and {deepest} of this host, which is mounted there, is no directory"
    lacks = f"is below {at}, and {deepest} of this host, which is mounted there, has no {name}"
    if _is_read_only(holder) or system.f_flag & os.ST_RDONLY:
        return lacks + " and is read-only: create it on the host, or"
    if own_ids and not {"idmap", "ridmap"} & set(holder.options) and _is_closed(deepest, status):
        return lacks + " and belongs to a user that the container does not have: create it on the host, or"
    return ""


def _missing(at: str, path: str, file: bool, words: str) -> str:
    """Whether a place is there, as the host shows it, and of the kind that is to be mounted."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return words
    except OSError:
        return ""
    if stat.S_ISLNK(found.st_mode) or stat.S_ISDIR(found.st_mode) != file:
        return ""
    kinds = ("directory", "file") if file else ("file", "directory")
    return f"is below {at}, where it is a {kinds[0]}, and a {kinds[1]} is to be mounted there"


def _is_closed(path: str, status: os.stat_result) -> bool:
    """Whether the container's root is a stranger there. No container has IDs below FIRST_ID."""
    return status.st_uid < FIRST_ID and not status.st_mode & stat.S_IWOTH and not _has_acl(path)


def _has_acl(path: str) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False


def _is_read_only(mount: ContainerMount) -> bool:
    return mount.read_only or not set(_READ_ONLY).isdisjoint(mount.options)
