# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who attaches a container's mounts, and in which mount namespace: mount_namespaces(7), "Restrictions".

The kernel protects mounts from the root of a user namespace only where they came from a namespace that a more
privileged user namespace owns: in the copy they cannot be taken apart, and read-only, nodev, nosuid, noexec and the
atime setting cannot be cleared. What that root attached by itself it may also change. So for a container with a user
namespace a helper, which stays the host's root, attaches everything in a mount namespace of the host's, and the
container gets a copy of that. File systems are made by init all the same (their superblocks belong to its user
namespace), and so are mount points (with the rights that the container has).
"""

from __future__ import annotations

import _socket  # the small one, as in channel.py
import contextlib
import errno
import json
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..._kernel import clone, mount, openat2, process
from ..._kernel.errors import BareKernelError, KernelError
from ..bundle.spec import Spec
from ..errors import RuntimeFailure
from . import credentials, descriptors

_LARGEST = 65536
#: Mounts of one message: the kernel hands on at most 253 descriptors (SCM_MAX_FD), and paths have room in it.
_PORTION = 12
_FD_SIZE = 4
#: What a createContainer hook is to be in, besides the helper's mount namespace; setns(2) takes them all at once.
_OF_INIT = ("user", "pid", "network", "ipc", "uts", "cgroup", "time")


class Placed(NamedTuple):
    """A mount (detached, or what is to be copied), the descriptor of its place, and that one's path, for errors."""

    tree: int
    target: int
    path: str


@contextlib.contextmanager
def _about(path: str) -> Iterator[None]:
    try:
        yield
    except KernelError as error:
        error.path = path
        raise


class Here:
    """Attaches in the caller's own mount namespace: for a container that has no user namespace."""

    def __init__(self, spec: Spec, root_tree: int) -> None:
        self.spec = spec
        self.root_fd = root_tree

    def attach_root(self) -> None:
        """Attach the detached root where the bundle has it. As the host's root. Raises KernelError."""
        followed = self.spec.rootfs_propagation in ("slave", "rslave", "shared", "rshared")
        mount.set_propagation("/", "slave" if followed else "private", recursive=True)
        target = openat2.openat2(mount.AT_FDCWD, self.spec.rootfs, os.O_PATH | os.O_DIRECTORY, resolve=0)
        try:
            mount.move_mount(self.root_fd, b"", target, b"")
        finally:
            os.close(target)

    def attach(self, placed: Sequence[Placed]) -> None:
        """Attach detached mounts at their places. Raises KernelError with the path of the one that was refused."""
        for tree, target, path in placed:
            with _about(path):
                mount.move_mount(tree, b"", target, b"")

    def bind(self, placed: Sequence[Placed], attributes: int = 0, recursive: bool = False) -> None:
        """Attach copies of what the first descriptors show, with these attributes more. Raises KernelError, so too."""
        for source, target, path in placed:
            with _about(path):
                mount.bind(source, target, attributes, recursive)

    def hooks(self, state: dict[str, Any]) -> None:
        """Run the createContainer hooks. Raises RuntimeFailure."""
        from ..bundle import hooks

        hooks.run("createContainer", self.spec.hooks["createContainer"], state)

    def enter(self) -> None:
        """The root becomes "/", read-only if it is to be, and the old one is gone. pivot_root(2), NOTES."""
        if self.spec.readonly:
            mount.mount_setattr(self.root_fd, b"", mount.MOUNT_ATTR_RDONLY)
        os.fchdir(self.root_fd)
        mount.pivot_root(".", ".")
        # Now the old root is stacked on the new one, and "." is the old one's place.
        mount.umount2(".", mount.MNT_DETACH)
        os.chdir("/")


class Helped:
    """The same by way of the helper: what init, root of a user namespace, asks of it."""

    def __init__(self, handle: Any) -> None:
        self._socket = handle

    def attach_root(self) -> None:
        _ask(self._socket, "attach_root", [])

    def attach(self, placed: Sequence[Placed]) -> None:
        for some in _portions(placed):
            _ask(self._socket, "attach", _descriptors(some), paths=[each.path for each in some])

    def bind(self, placed: Sequence[Placed], attributes: int = 0, recursive: bool = False) -> None:
        how = {"attributes": attributes, "recursive": recursive}
        for some in _portions(placed):
            _ask(self._socket, "bind", _descriptors(some), paths=[each.path for each in some], **how)

    def hooks(self, state: dict[str, Any]) -> None:
        ourselves = process.pidfd_open(os.getpid())
        _ask(self._socket, "hooks", [ourselves], state=state)
        os.close(ourselves)

    def enter(self) -> None:
        """Go to the copy of all that was attached, which our user namespace owns; there the root is "/" already."""
        user = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        copy = _ask(self._socket, "enter", [user])[0]
        os.close(user)
        clone.setns(copy, clone.CLONE_NEWNS)
        os.close(copy)
        self._socket.close()


class Helper(NamedTuple):
    """The process that attaches, and init's end of the connection to it."""

    pid: int
    pidfd: int
    handle: Any

    def fileno(self) -> int:
        return int(self.handle.fileno())

    def end(self) -> None:
        """Let it go and wait for it, in the process that began it; one that was not asked for all ends now."""
        self.handle.close()
        process.send_signal(self.pidfd, 9)
        os.close(self.pidfd)
        os.waitpid(self.pid, 0)


def begin(spec: Spec, root_tree: int) -> Helper:
    """Start the helper of a container with a user namespace. Raises KernelError."""
    kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, kind, 0)
    pid, pidfd = clone.clone3()
    if pid == 0:
        try:
            _help(spec, root_tree, theirs)
        finally:
            os._exit(1)
    theirs.close()
    return Helper(pid, pidfd, ours)


def _help(spec: Spec, root_tree: int, handle: Any) -> None:
    """The helper: never returns."""
    credentials.not_inspectable()
    credentials.import_nothing_more()
    descriptors.close_all_but((handle.fileno(), root_tree))
    ourselves = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # "/" will be another
    here = Here(spec, root_tree)
    while True:
        asked, values, fds = _receive(handle)
        if not asked:
            os._exit(0)
        answer: list[int] = []
        refused = None
        try:
            answer = _answer(here, ourselves, asked, values, fds)
        except (BareKernelError, OSError) as error:
            refused = _described(error)
        _send(handle, "refused" if refused else "done", refused or {}, answer)
        for fd in (*fds, *answer):
            os.close(fd)


def _answer(here: Here, ourselves: int, asked: str, values: dict[str, Any], fds: list[int]) -> list[int]:
    if asked == "attach_root":
        clone.unshare(clone.CLONE_NEWNS)
        here.attach_root()
    elif asked == "attach":
        here.attach(_placed(fds, values["paths"]))
    elif asked == "bind":
        here.bind(_placed(fds, values["paths"]), values["attributes"], values["recursive"])
    elif asked == "hooks":
        _run_hooks(here, fds[0], values["state"])
    elif asked == "enter":
        here.enter()
        clone.setns(fds[0], clone.CLONE_NEWUSER)
        clone.unshare(clone.CLONE_NEWNS)  # the copy: owned by that user namespace, so everything in it is locked
        return [os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=ourselves)]
    return []


def _run_hooks(here: Here, init: int, state: dict[str, Any]) -> None:
    """In the container's namespaces, of which the mount namespace is ours so far, as the container's root."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            clone.setns(init, sum(n.flag for n in here.spec.namespaces if n.kind in _OF_INIT))
            credentials.become_root_of_user_namespace()
            here.hooks(state)
        except (BareKernelError, OSError) as error:
            os.write(writer, str(error).encode("utf-8", "replace"))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    if said:
        raise RuntimeFailure(said.decode("utf-8", "replace"))


def _portions(placed: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    return (placed[first : first + _PORTION] for first in range(0, len(placed), _PORTION))


def _descriptors(placed: Sequence[Placed]) -> list[int]:
    return [fd for each in placed for fd in (each.tree, each.target)]


def _placed(fds: Sequence[int], paths: Sequence[str]) -> list[Placed]:
    return [Placed(*each) for each in zip(fds[::2], fds[1::2], paths)]


def _ask(handle: Any, asked: str, fds: Sequence[int], **values: Any) -> list[int]:
    """What the helper answers with. Raises KernelError, RuntimeFailure as the helper did."""
    _send(handle, asked, values, fds)
    kind, said, answer = _receive(handle)
    if kind == "done":
        return answer
    if kind == "":
        raise RuntimeFailure("the process that attaches the container's mounts ended early")
    if "errno" in said:
        raise KernelError(said["errno"], said["syscall"], said["path"], said["hint"], said["detail"])
    raise RuntimeFailure(said["text"])


def _described(error: Exception) -> dict[str, Any]:
    if isinstance(error, KernelError):
        path = os.fsencode(error.path).decode("utf-8", "replace") if error.path is not None else None
        named = {"errno": error.errno or errno.EIO, "syscall": error.syscall, "path": path}
        return {**named, "hint": error.hint, "detail": error.detail}
    return {"text": str(error)}


def _send(handle: Any, kind: str, values: dict[str, Any], fds: Sequence[int]) -> None:
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"={len(fds)}i", *fds))] if fds else []
    handle.sendmsg([json.dumps([kind, values]).encode()], rights, _socket.MSG_NOSIGNAL)


def _receive(handle: Any) -> tuple[str, dict[str, Any], list[int]]:
    """A message; kind is empty where the other end is closed."""
    room = _socket.CMSG_SPACE(2 * _PORTION * _FD_SIZE)
    raw, ancillary, _flags, _address = handle.recvmsg(_LARGEST, room, _socket.MSG_CMSG_CLOEXEC)
    fds = [fd for _level, _kind, data in ancillary for (fd,) in struct.iter_unpack("=i", data)]
    if not raw:
        return "", {}, []
    kind, values = json.loads(raw)
    return kind, values, fds
