# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One command in a root file system, isolated as a container is, of which nothing is kept: a step of a build."""

from __future__ import annotations

import contextlib
import json
import os
import select
from collections.abc import Sequence
from typing import Any

from ..._kernel import files, process
from ..bundle import defaults
from ..errors import NoSuchContainer
from . import build_cgroup, create, end, state
from .bounded import Bounded

_ID = "build"
#: Bytes of a command's output that are kept: a failure is told with less.
OUTPUT_MOST = 64 * 1024
_CHUNK = 65536
#: Where the kernel shows itself to the command.
_MOUNT_POINTS = ("/proc", "/dev")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    root: str,
    directory: str,
    argv: Sequence[str],
    env: Sequence[str] = (),
    idmap: tuple[int, int] | None = None,
    network: bool = False,
) -> tuple[int, bytes]:
    """Run it in the mount ``root``, whose IDs ``idmap`` has shifted already. Returns its exit status and its output.

    It has a container's namespaces, capabilities, seccomp policy and masks; with ``network`` the host's network. Of its
    output the first and last OUTPUT_MOST / 2 bytes are kept.
    Nothing that it starts outlives it. ``directory`` is a place for what the runtime keeps meanwhile.
    Raises RuntimeFailure where it could not be started, KernelError.
    """
    bundle, kept = f"{directory}/bundle", f"{directory}/state"
    files.make_directory(bundle, 0o700)
    document = _config(root, argv, env, idmap, network)
    files.write_atomically(f"{bundle}/config.json", json.dumps(document), 0o600)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    output = Bounded(OUTPUT_MOST)
    with open(reader, "rb", buffering=0) as said, open("/dev/null", "rb") as nothing:
        try:
            with open(writer, "wb", buffering=0):
                if idmap:
                    os.fchown(writer, idmap[0], idmap[0])  # so that it can be opened as /dev/stdout
                fds = (nothing.fileno(), writer, writer)
                cgroup = build_cgroup.path()
                wanted = create.Request(kept, _ID, bundle, stdio=fds, die_with_parent=True, cgroup=cgroup)
                container = create.create(wanted)
            create.start(container)
            status = _take_until_it_ends(said, container.pid, output)
        finally:
            with contextlib.suppress(NoSuchContainer):
                end.delete(state.read(kept, _ID), force=True)
        while data := said.read(_CHUNK):  # nobody is left who could write
            output.feed(data)
    return status if status >= 0 else 128 - status, bytes(output)


def _take_until_it_ends(said: Any, pid: int, output: Bounded) -> int:
    """The exit status of that child of ours, negative the signal that ended it."""
    pidfd = process.pidfd_open(pid)
    poll = select.poll()
    for fd in (said.fileno(), pidfd):
        poll.register(fd, select.POLLIN)
    try:
        while True:
            ready = [fd for fd, _event in poll.poll()]
            if said.fileno() in ready:
                data = said.read(_CHUNK)
                output.feed(data)
                if not data:
                    poll.unregister(said.fileno())
            if pidfd in ready:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(pidfd)


def _config(
    root: str, argv: Sequence[str], env: Sequence[str], idmap: tuple[int, int] | None, network: bool
) -> dict[str, Any]:
    """config.json: the default of every container, without the file systems that a package's scripts do not need."""
    document = defaults.default_spec()
    process, linux = document["process"], document["linux"]
    process.update(args=list(argv), env=[_PATH, "HOME=/root", *env], rlimits=[])
    document["root"] = {"path": root, "readonly": False}
    document["hostname"] = _ID
    document["mounts"] = [m for m in document["mounts"] if m["destination"].startswith(_MOUNT_POINTS)]
    linux["namespaces"] = [n for n in linux["namespaces"] if not (network and n["type"] == "network")]
    if idmap:
        linux["namespaces"].append({"type": "user"})
        linux["uidMappings"] = linux["gidMappings"] = [{"containerID": 0, "hostID": idmap[0], "size": idmap[1]}]
    return document
