# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes keep a mount busy, and unmounting that says so."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from . import mount
from .errors import Busy, KernelError
from .mountinfo import Mount, read_mountinfo

#: More than this many holders help nobody.
_SHOWN = 10


def unmount(target: str | bytes, lazy: bool = False, lazy_helps: bool = True) -> None:
    """Unmount what is on top at that path; ``lazy`` detaches it now and frees it when its last user is gone.

    ``lazy_helps``: whether to advise that where the mount is busy.
    Raises Busy naming who uses it, KernelError otherwise.
    """
    top = _top(os.fsencode(target))
    try:
        mount.umount2(target, mount.UMOUNT_NOFOLLOW | (mount.MNT_DETACH if lazy else 0))
    except KernelError as error:
        if error.errno != errno.EBUSY or top is None:
            raise
        hint = "End them, unmount what is mounted below, or choose lazy"
        if not lazy_helps:
            hint = (
                "End them, or unmount what is mounted below (lazy would not help: they write where the new mount does)"
            )
        raise Busy(errno.EBUSY, "umount2", target, holders(top), hint) from error


def holders(mounted: Mount) -> tuple[str, ...]:
    """Who keeps this mount of our mount namespace busy: "PID command (what of it)", and mounts below it."""
    below = [f"mount {os.fsdecode(m.target)}" for m in read_mountinfo() if m.parent_id == mounted.mount_id]
    found = [*below, *_processes(mounted.mount_id)]
    extra = len(found) - _SHOWN
    return tuple(found[:_SHOWN] + ([f"{extra} more"] if extra > 0 else []))


def _top(target: bytes) -> Mount | None:
    try:
        fd = os.open(target, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        top_id = mount.mount_id(fd)
    finally:
        os.close(fd)
    return next((m for m in read_mountinfo() if m.mount_id == top_id and m.target == target), None)


def _processes(mount_id: int) -> Iterator[str]:
    for entry in sorted((e for e in os.listdir("/proc") if e.isdigit()), key=int):
        uses = [kind for kind, link in _links(entry) if _mount_of(link) == mount_id]
        if uses:
            yield f"{entry} {_command(entry)} ({', '.join(dict.fromkeys(uses))})"


def _links(pid: str) -> Iterator[tuple[str, str]]:
    """The magic links of a process that can hold a mount, with what they are."""
    base = f"/proc/{pid}/"
    for name, kind in (("cwd", "working directory"), ("root", "root"), ("exe", "program")):
        yield kind, base + name
    for directory, kind in (("fd", "open file"), ("map_files", "mapped file")):
        try:
            for name in os.listdir(base + directory):
                yield kind, f"{base}{directory}/{name}"
        except OSError:
            continue  # the process has ended


def _mount_of(link: str) -> int | None:
    try:
        fd = os.open(link, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return mount.mount_id(fd)
    except OSError:
        return None
    finally:
        os.close(fd)


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as handle:
            return handle.read().decode("utf-8", "replace").strip()
    except OSError:
        return "?"
