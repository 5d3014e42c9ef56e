# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container's cgroup: where it is, made with its limits before any process is in it, removed with its parents."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping

from ..._kernel import cgroup
from ..._kernel.errors import Busy, KernelError
from ..bundle.resources import controllers
from ..errors import BundleError, RuntimeFailure

#: Where containers go whose config.json has no cgroupsPath.
DEFAULT_PARENT = "nsrun"
#: How often the way to a cgroup is made that others remove at the same time.
_ATTEMPTS = 100
_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


def mount_point() -> str | None:
    """Where cgroup2 is mounted; None where it is not."""
    for place in _MOUNTS:  # a look at the usual places saves parsing mountinfo on the start path
        if os.path.exists(f"{place}/cgroup.procs") and os.path.exists(f"{place}/cgroup.controllers"):
            return place
    from ..._kernel.cgroup_state import find_hierarchy

    return find_hierarchy().mount


def path_for(cgroups_path: str | None, container_id: str) -> str | None:
    """linux.cgroupsPath as a directory: absolute ones are below the mount, config-linux.md. None without cgroup2.

    Raises BundleError for one that leaves the mount or is meant for systemd.
    """
    mount = mount_point()
    wanted = cgroups_path or f"{DEFAULT_PARENT}/{container_id}"
    if ":" in wanted and "/" not in wanted:
        raise BundleError("linux.cgroupsPath", wanted, "the form slice:prefix:name is for runtimes that ask systemd")
    if ".." in wanted.split("/"):
        raise BundleError("linux.cgroupsPath", wanted, "must not contain '..'")
    if mount is None:
        if cgroups_path:
            raise BundleError("linux.cgroupsPath", wanted, "no cgroup2 file system is mounted on this host")
        return None
    return os.path.normpath(f"{mount}/{wanted.lstrip('/')}")


def make(path: str, files: Mapping[str, str]) -> bool:
    """Make the cgroup and those above it, enable the controllers that ``files`` need, write these.

    Returns whether it was not there before. No new cgroup is left when it fails.
    Raises RuntimeFailure that says who is in it, or holds a controller which cgroup v2 does not have, KernelError.
    """
    mount = mount_point() or "/"
    needed = controllers(files)
    above = _above(mount, path)
    if os.path.isdir(path) and cgroup.populated(path):
        raise RuntimeFailure(f"cgroup {path} is in use by {', '.join(cgroup.holders(path)) or 'someone'}")
    new = False
    try:
        new = _make_below(above, path, needed)
        for name, value in files.items():
            cgroup.write(path, name, value)
    except BaseException:
        with contextlib.suppress(KernelError):
            if new:
                cgroup.remove(path)
            _remove_implied(above)
        raise
    return new


def _make_below(above: list[str], path: str, needed: tuple[str, ...]) -> bool:
    """The way to the cgroup and the cgroup itself; whether that is a new one."""
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            for directory in above[1:]:
                cgroup.make(directory, cgroup.IMPLIED)
            _enable(above, needed)
            return cgroup.make(path)
        except KernelError as error:
            # ENOENT: the last container in a parent of ours has just taken that with it.
            if error.errno != errno.ENOENT or not attempts_left:
                raise
    raise AssertionError("the last attempt returns or raises")


def _above(mount: str, path: str) -> list[str]:
    """The mount and every cgroup between it and path, from the top."""
    parts = os.path.relpath(path, mount).split("/")
    return [os.path.normpath("/".join([mount, *parts[:depth]])) for depth in range(len(parts))]


def _enable(above: list[str], needed: tuple[str, ...]) -> None:
    for directory in above if needed else ():
        offered = cgroup.read(directory, "cgroup.controllers")
        if offered is None:
            raise KernelError(errno.ENOENT, "open", f"{directory}/cgroup.controllers")
        missing = [name for name in needed if name not in offered.split()]
        if missing:
            from ..._kernel.cgroup_state import find_hierarchy  # imported here: only the error needs it

            why = "; ".join(f"{name}: {find_hierarchy().why_missing(name)}" for name in missing)
            raise RuntimeFailure(f"linux.resources: cgroup v2 at {directory} lacks what limits are asked for: {why}")
        enabled = (cgroup.read(directory, "cgroup.subtree_control") or "").split()
        wanted = tuple(name for name in needed if name not in enabled)
        if wanted:
            cgroup.enable_controllers(directory, wanted)


def open_directory(path: str) -> int:
    """A descriptor for clone3's CLONE_INTO_CGROUP, of a mount that is attached nowhere: from it no ".." leads anywhere.

    For a moment the child has it too, and a container that may trace processes of the host's root can look into that.
    """
    from ..._kernel import mount  # here: what only looks at cgroups has no use for it

    tree = mount.open_tree(mount.AT_FDCWD, path)
    mount.mount_setattr(tree, b"", mount.MOUNT_ATTR_RDONLY)
    return tree


def destroy(path: str) -> None:
    """Kill what is in the cgroup, remove it and the empty ones above it that were only made on the way.

    Raises Busy, KernelError.
    """
    if os.path.isdir(path):
        cgroup.kill(path)
        cgroup.remove(path, recursive=True)
    _remove_implied(_above(mount_point() or "/", path))


def _remove_implied(above: list[str]) -> None:
    """Remove what was made on the way and is empty, from below. Raises KernelError."""
    for directory in reversed(above[1:]):
        if cgroup.mark_of(directory) != cgroup.IMPLIED:
            return
        try:
            cgroup.remove(directory)
        except Busy:
            return  # other containers live there


def oom_kills(path: str) -> int:
    """How many processes of the cgroup the kernel killed for want of memory; 0 without the memory controller."""
    lines = (cgroup.read(path, "memory.events") or "").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
