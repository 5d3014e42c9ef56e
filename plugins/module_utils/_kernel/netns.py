# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named network namespaces, made and removed as ip-netns(8) does, and marked as ours."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass

from . import files, libc, locations, namespaces, process
from .errors import KernelError
from .namespaces import CLONE_NEWNET, CLONE_NEWUSER, NamespaceId

_MS_BIND, _MS_REC, _MS_SHARED, _MNT_DETACH = 0x1000, 0x4000, 0x100000, 0x2

#: Says that the mount point /run/netns is of our making, so that the last namespace takes it along.
_DIRECTORY_MARK = locations.RUN + "/netns.directory"
#: The word before the IDs of the owner in a mark: (host ID, size) as in NamedNetns.idmap.
_OWNER = "idmap"


@dataclass(frozen=True)
class NamedNetns:
    """A name in /run/netns and what is behind it.

    ``identity`` is None for a name that nothing is mounted on (a run was killed half-way). ``ours`` says that our
    mark names exactly this namespace. ``idmap`` is the (host ID, size) of the user namespace that owns it, None
    where that is the host's.
    """

    name: str
    identity: NamespaceId | None
    ours: bool
    idmap: tuple[int, int] | None = None


def observe(name: str) -> NamedNetns | None:
    """What is behind a name, None where there is no such name and no mark of ours for it. Raises KernelError."""
    path = namespaces.named_path(name)
    mark = files.read_text(f"{locations.NETNS_MARKS}/{name}")
    if mark is None and not os.path.lexists(path):
        return None
    try:
        fd = namespaces.open_netns(namespaces.NetnsRef.named(name))
    except KernelError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):
            raise
        return NamedNetns(name, None, mark is not None)
    try:
        known = namespaces.identity_of(fd)
        first, *others = (mark or "").splitlines() or [""]
        ours = first == namespaces.mark_of_netns(fd)
        idmap = _told(others) if ours else None
        return NamedNetns(name, known, ours, idmap or namespaces.owner_of(fd).idmap)
    finally:
        os.close(fd)


def _told(lines: list[str]) -> tuple[int, int] | None:
    """What our mark says of the owner, None where it says nothing: then the kernel has to be asked, by a process that
    enters the user namespace. Neither the owner of a namespace nor the map of a user namespace ever changes."""
    words = lines[0].split() if lines else []
    return (int(words[1]), int(words[2])) if words[:1] == [_OWNER] and len(words) == 3 else None


def names() -> list[str]:
    """Every name in /run/netns."""
    try:
        return sorted(os.listdir(locations.NETNS))
    except FileNotFoundError:
        return []


def create_named_netns(name: str, idmap: tuple[int, int] | None = None) -> None:
    """``ip netns add``: a new network namespace, loopback up, kept by a bind mount on /run/netns/NAME, and our mark.

    With ``idmap`` = (host ID, size) it is owned by a new user namespace whose IDs 0..size-1 are those of the host
    from host ID on; that one is kept at /run/barekernel/userns/NAME. What a killed run left under the name is
    replaced. Raises KernelError(EEXIST) where the name is a living namespace.
    """
    path = namespaces.named_path(name)
    if namespaces.identity(path) is not None:
        raise KernelError(errno.EEXIST, "mount", path, "A network namespace of that name exists")
    userns = None if idmap is None else _user_namespace(*idmap)
    try:
        fd = _new_netns() if userns is None else _new_netns_of(userns)
        try:
            # The mark comes first: a run killed after this leaves something that the next one knows as ours.
            _mark(name, fd, idmap)
            with _locked_directory():
                _forget(name)
                if userns is not None:
                    files.make_directory(locations.USERNS, 0o700)
                    _keep(userns, f"{locations.USERNS}/{name}")
                _keep(fd, namespaces.named_path(name))
        finally:
            os.close(fd)
    finally:
        if userns is not None:
            os.close(userns)


def _mark(name: str, fd: int, idmap: tuple[int, int] | None) -> None:
    files.make_directory(locations.NETNS_MARKS)
    mark = namespaces.mark_of_netns(fd)
    # A number may become that of another namespace, with another owner.
    owner = f"{_OWNER} {idmap[0]} {idmap[1]}\n" if idmap is not None and mark.startswith("cookie") else ""
    files.write_atomically(f"{locations.NETNS_MARKS}/{name}", f"{mark}\n{owner}")


def delete_named_netns(name: str) -> None:
    """``ip netns delete``, with the user namespace and the mark. The namespace lives on while a process is in it.

    A name that is gone is fine. The mount point /run/netns goes with the last name if we made it.
    """
    if os.path.isdir(locations.NETNS):
        with _locked_directory():
            _forget(name)
    else:
        _forget(name)
    files.remove_file(f"{locations.NETNS_MARKS}/{name}")
    for directory in locations.NETNS_DIRECTORIES:
        with contextlib.suppress(KernelError):  # not empty: others are there
            files.remove_directory(directory)
    _tidy_directory()


def processes_in(known: NamespaceId) -> list[int]:
    """The processes that live in a network namespace."""
    return [pid for pid in process.pids() if _net_of(pid) == known]


def _net_of(pid: int) -> NamespaceId | None:
    try:
        found = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return None
    return NamespaceId(found.st_dev, found.st_ino)


@contextlib.contextmanager
def _locked_directory() -> Iterator[None]:
    """/run/netns as iproute2 makes it (a shared mount), locked as newer iproute2 locks it."""
    files.make_directory(locations.NETNS)
    fd = os.open(locations.NETNS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _share_directory()
        yield
    finally:
        os.close(fd)


def _share_directory() -> None:
    """Make /run/netns a shared mount. Only the kernel can tell whether it is one: mountinfo also shows a mount that a
    later one over /run hides."""
    target = locations.NETNS.encode()
    try:
        _mount(b"none", target, _MS_SHARED | _MS_REC)
        return
    except KernelError as error:
        if error.errno != errno.EINVAL:  # EINVAL: nothing is mounted there
            raise
    files.make_directory(locations.RUN)
    files.write_atomically(_DIRECTORY_MARK, "")
    _mount(target, target, _MS_BIND | _MS_REC)
    _mount(b"none", target, _MS_SHARED | _MS_REC)


def _tidy_directory() -> None:
    if not os.path.exists(_DIRECTORY_MARK) or names():
        return
    with contextlib.suppress(KernelError):  # somebody uses it: it stays, as iproute2 would leave it
        libc.call("umount2", locations.NETNS.encode(), 0, path=locations.NETNS)
        files.remove_directory(locations.NETNS)
    files.remove_file(_DIRECTORY_MARK)


def _forget(name: str) -> None:
    for path in (namespaces.named_path(name), f"{locations.USERNS}/{name}"):
        raw = path.encode()
        while namespaces.identity(path) is not None:
            libc.call("umount2", raw, _MNT_DETACH, path=path)
        files.remove_file(path)


def _keep(fd: int, path: str) -> None:
    """A namespace lives as long as its nsfs file is mounted somewhere, namespaces(7)."""
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o444))
    _mount(f"/proc/self/fd/{fd}".encode(), path.encode(), _MS_BIND)


def _mount(source: bytes, target: bytes, flags: int) -> None:
    libc.call("mount", source, target, b"none", flags, None, path=target)


def _user_namespace(host_id: int, size: int) -> int:
    from .idmap import user_namespace  # here, with all of mount.py: whoever only looks needs neither

    return user_namespace(host_id, size)


def _new_netns() -> int:
    """A descriptor of a new network namespace of our own user namespace, loopback up."""
    home = namespaces.open_netns(namespaces.HOST)
    try:
        namespaces.unshare(CLONE_NEWNET)
        try:
            namespaces.interface_up("lo")
            return namespaces.open_netns(namespaces.HOST)
        finally:
            namespaces.setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


def _new_netns_of(userns: int) -> int:
    """The same, owned by that user namespace: a child enters it (there is no way back) and makes the other."""
    ready_read, ready_write = os.pipe()
    hold_read, hold_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(hold_write)
        _sit(ready_write, hold_read, userns)
    os.close(hold_read)
    os.close(ready_write)
    try:
        with os.fdopen(ready_read, "rb") as pipe:
            refused = int(pipe.read() or errno.EIO)
        if refused:
            raise KernelError(refused, "unshare", hint="See sysctl user.max_net_namespaces")
        return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(hold_write)
        os.waitpid(pid, 0)


def _sit(ready: int, hold: int, userns: int) -> None:
    """The child: never returns."""
    refused = 0
    try:
        namespaces.setns(userns, CLONE_NEWUSER)
        namespaces.unshare(CLONE_NEWNET)
        namespaces.interface_up("lo")
    except OSError as error:
        refused = error.errno or errno.EIO
    try:
        os.write(ready, b"%d" % refused)
        os.close(ready)
        os.read(hold, 1)
    finally:
        os._exit(0)
