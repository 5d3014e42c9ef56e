# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interpreter that enters a container must not be one that the container can write to (CVE-2019-5736).

What a container executes as /proc/self/exe at the right moment is the runtime's own program: for us, the host's Python.
A user namespace takes away the right to write to it, unless it maps the owner of that file, the host's root. Where that
is so, or not known, the runtime starts itself again from a copy that nobody can write to: the same file through a
read-only overlay that is mounted nowhere, or else a sealed memfd.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..._kernel import clone, mount, process
from ..._kernel.errors import KernelError
from ..bundle.spec import Spec
from ..errors import RuntimeFailure
from . import credentials

#: Only to end a loop should the check below ever fail: it is not what tells whether we are safe.
_ALREADY = "NSRUN_SEALED"
_F_ADD_SEALS = 1033
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # seal, shrink, grow, write; fcntl(2)


class Ids(NamedTuple):
    """The host's IDs that a user namespace maps: (first, count)."""

    uids: tuple[tuple[int, int], ...]
    gids: tuple[tuple[int, int], ...]


def ids_of(wanted: Spec) -> Ids | None:
    """What the user namespace of a container that is to be made maps; None where it has none, or that is not known."""
    user = wanted.namespace("user")
    if user is None:
        return None
    if user.path is not None:
        return ids_at(user.path)
    return Ids(*(tuple((m.host_id, m.size) for m in maps) for maps in (wanted.uid_mappings, wanted.gid_mappings)))


def ensure_for(ids: Ids | None, environment: Mapping[str, str] | None = None) -> None:
    """ensure() where one of these IDs may write to our interpreter; None: the IDs are all, or not known."""
    if needed(ids):
        ensure(environment)


def needed(ids: Ids | None) -> bool:
    """Whether one of these IDs is that of the interpreter's owner, or of the host's root."""
    if ids is None:
        return True
    owner = os.stat(os.path.realpath(sys.executable))
    return _holds(ids.uids, (0, owner.st_uid)) or _holds(ids.gids, (0, owner.st_gid))


def _holds(ranges: Iterable[tuple[int, int]], ids: Iterable[int]) -> bool:
    return any(first <= number < first + count for first, count in ranges for number in ids)


def ids_of_process(pid: int, started: int | None) -> Ids | None:
    """What exactly that process's user namespace maps, user_namespaces(7); None where the process has ended."""
    try:
        with process.entry(pid, started) as entry:
            return Ids(_map(entry, "uid_map"), _map(entry, "gid_map"))
    except (OSError, ValueError):
        return None


def _map(entry: int, name: str) -> tuple[tuple[int, int], ...]:
    with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=entry), encoding="ascii") as handle:
        return tuple((int(outside), int(count)) for _inside, outside, count in map(str.split, handle))


def ids_at(path: str) -> Ids | None:
    """What the user namespace at a path maps; None where there is none.

    Only a process in it can be asked, so a child enters and waits there; from outside its map is told in our IDs.
    """
    entered_read, entered_write = os.pipe()
    hold_read, hold_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(hold_write)
        _enter_and_wait(path, entered_write, hold_read)
    os.close(entered_write)
    os.close(hold_read)
    try:
        return ids_of_process(pid, process.start_time(pid)) if os.read(entered_read, 1) else None
    finally:
        os.close(hold_write)
        os.close(entered_read)
        os.waitpid(pid, 0)


def _enter_and_wait(path: str, entered: int, hold: int) -> None:
    """Never returns."""
    try:
        credentials.not_inspectable()
        clone.setns(os.open(path, os.O_RDONLY | os.O_CLOEXEC), clone.CLONE_NEWUSER)
        os.write(entered, b"1")
        os.close(entered)
        os.read(hold, 1)
    finally:
        os._exit(0)


def ensure(environment: Mapping[str, str] | None = None) -> None:
    """Return if this process runs from a copy that cannot be written to; else become one (execve) and begin again.

    To be called before anything was changed. environment: what it has from then on. Raises RuntimeFailure, KernelError.
    """
    if _is_sealed():
        return
    if os.environ.get(_ALREADY):
        raise RuntimeFailure("nsrun could not make a safe copy of its own interpreter to enter a container with")
    interpreter = os.path.realpath(sys.executable)
    try:
        fd = _through_overlay(interpreter)
    except KernelError:
        fd = _in_memory(interpreter)
    # argv[0] is the real path: by it Python finds its library.
    kept = os.environ if environment is None else environment
    os.execve(fd, [sys.executable, "-ISXutf8", *sys.argv], {**kept, _ALREADY: "1"})


def _is_sealed() -> bool:
    running, installed = os.stat("/proc/self/exe"), os.stat(sys.executable)
    return (running.st_dev, running.st_ino) != (installed.st_dev, installed.st_ino)


def _through_overlay(path: str) -> int:
    """The file opened through an overlay without an upper layer: no mount option can make that writable."""
    from ..._kernel.mount_overlay import overlay_tree

    tree = overlay_tree([os.path.dirname(path)], attributes=mount.MOUNT_ATTR_RDONLY, source="barekernel:interpreter")
    try:
        return os.open(os.path.basename(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=tree)
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from None
    finally:
        os.close(tree)


def _in_memory(path: str) -> int:
    """A copy in memory, sealed."""
    fd = os.memfd_create("nsrun", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(path, "rb") as source:
        size = os.fstat(source.fileno()).st_size
        done = 0
        while done < size:
            done += os.sendfile(fd, source.fileno(), done, size - done)
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    # What is open for writing cannot be executed (ETXTBSY), even when it is sealed.
    readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    os.close(fd)
    return readable
