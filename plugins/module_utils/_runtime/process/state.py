# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runtime remembers of its containers: ROOT/ID/, as ``state``, ``list`` and ``exec`` need it."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import Any, NamedTuple

from ..._kernel import cgroup, files, locations, process, record_file
from ..._kernel.errors import KernelError
from ..errors import BundleError, NoSuchContainer, RuntimeFailure

DEFAULT_ROOT = locations.NSRUN
CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"
#: While this file exists the container's init waits for ``start``.
FIFO = "exec.fifo"
#: What init could not do after ``start``: written by it, read by ``start``.
EXEC_ERROR = "exec.error"
#: The path of the cgroup that ``create`` makes; absent where that was there before.
CGROUP = "cgroup"
#: Where the record has its own version: "version" there is that of the runtime-spec.
_FORMAT = "format"
_ID = re.compile(r"[A-Za-z0-9_+.-]{1,200}\Z")


class Container(NamedTuple):
    """One container as recorded. ``cgroup`` is the absolute path of its cgroup directory, if it has one."""

    root: str
    id: str
    pid: int
    start_time: int
    bundle: str
    version: str
    created: str
    cgroup: str | None
    annotations: dict[str, str]
    hooks: bool

    @property
    def directory(self) -> str:
        return f"{self.root}/{self.id}"

    def alive(self) -> bool:
        """Whether its init runs."""
        return process.alive(self.pid, self.start_time)

    def status(self) -> str:
        """created, running, paused or stopped, read from the kernel."""
        if not self.alive():
            return STOPPED
        if os.path.exists(f"{self.directory}/{FIFO}"):
            return CREATED
        if self.cgroup and cgroup.read(self.cgroup, "cgroup.freeze") == "1":
            return PAUSED
        return RUNNING

    def state(self, status: str | None = None) -> dict[str, Any]:
        """The runtime-spec's state document (runtime.md, State)."""
        status = status or self.status()
        document: dict[str, Any] = {"ociVersion": self.version, "id": self.id, "status": status}
        if status != STOPPED:
            document["pid"] = self.pid
        document.update(bundle=self.bundle, annotations=self.annotations)
        return document


_FIELDS = frozenset(Container._fields) - {"root"}


def check_id(container_id: str) -> str:
    """A name that is one path component. Raises BundleError."""
    if not _ID.match(container_id) or container_id in (".", ".."):
        raise BundleError("id", container_id, "may hold letters, digits and _ + - . only, up to 200 of them")
    return container_id


def reserve(root: str, container_id: str) -> str:
    """Make ROOT/ID; the directory is the claim on the id. Raises RuntimeFailure where it is taken."""
    path = f"{root}/{check_id(container_id)}"
    while True:
        files.make_directory(root, 0o700)
        try:
            os.mkdir(path, 0o711)
        except FileNotFoundError:
            continue  # ROOT went with somebody's last container
        except FileExistsError:
            message = f"container {container_id!r} already exists: delete it first, or take another id"
            raise RuntimeFailure(message) from None
        except OSError as error:
            raise KernelError.wrap(error, "mkdir", path) from None
        return path


def write(container: Container) -> None:
    """Record it. Raises KernelError."""
    fields = {k: v for k, v in container._asdict().items() if k != "root"}
    fields[_FORMAT] = record_file.FIRST
    files.write_json(f"{container.directory}/state.json", fields, 0o600)


def read(root: str, container_id: str) -> Container:
    """The record. Raises NoSuchContainer, KernelError(EBADMSG)."""
    check_id(container_id)
    path = f"{root}/{container_id}/state.json"
    document = record_file.read(path, key=_FORMAT)
    if document is None:
        raise NoSuchContainer(container_id, root)
    try:
        return Container(root=root, **record_file.known(document, _FIELDS))
    except TypeError:
        raise files.damaged(path) from None


def ids(root: str) -> list[str]:
    """Every id that is taken."""
    try:
        return sorted(name for name in os.listdir(root) if _ID.match(name))
    except FileNotFoundError:
        return []


def read_all(root: str) -> list[Container]:
    """The record of every container that is there. Raises KernelError(EBADMSG)."""
    found = []
    for container_id in ids(root):
        with contextlib.suppress(NoSuchContainer):  # it is being created, or was deleted since the names were read
            found.append(read(root, container_id))
    return found


def read_config(container: Container) -> Any:
    """The config.json that the container was created from."""
    with open(f"{container.directory}/config.json", "rb") as handle:
        return json.loads(handle.read().decode("utf-8", "surrogateescape"))


def forget(root: str, container_id: str) -> None:
    """Remove ROOT/ID, and ROOT when it was the last one. Raises KernelError."""
    path = f"{root}/{check_id(container_id)}"
    for name in os.listdir(path) if os.path.isdir(path) else ():
        files.remove_file(f"{path}/{name}")
    files.remove_directory(path)
    with contextlib.suppress(OSError):  # others live there
        os.rmdir(root)
