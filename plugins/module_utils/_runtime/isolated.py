# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One command in a root file system, isolated as a container is, of which nothing is kept: a step of a build."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from .._kernel import files
from . import build_cgroup, create, defaults, end, state
from .errors import NoSuchContainer

_ID = "build"
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

    It has a container's namespaces, capabilities, seccomp policy and masks; with ``network`` the host's network.
    Nothing that it starts outlives it. ``directory`` is a place for what the runtime keeps meanwhile.
    Raises RuntimeFailure where it could not be started, KernelError.
    """
    bundle, kept = f"{directory}/bundle", f"{directory}/state"
    files.make_directory(bundle, 0o700)
    document = _config(root, argv, env, idmap, network)
    files.write_atomically(f"{bundle}/config.json", json.dumps(document), 0o600)
    with tempfile.TemporaryFile() as output, open("/dev/null", "rb") as nothing:
        if idmap:
            os.fchown(output.fileno(), idmap[0], idmap[0])  # so that it can be opened as /dev/stdout
        fds = (nothing.fileno(), output.fileno(), output.fileno())
        try:
            cgroup = build_cgroup.path()
            wanted = create.Request(kept, _ID, bundle, stdio=fds, die_with_parent=True, cgroup=cgroup)
            container = create.create(wanted)
            create.start(container)
            status = os.waitstatus_to_exitcode(os.waitpid(container.pid, 0)[1])
        finally:
            with contextlib.suppress(NoSuchContainer):
                end.delete(state.read(kept, _ID), force=True)
        output.seek(0)
        return status if status >= 0 else 128 - status, output.read()


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
