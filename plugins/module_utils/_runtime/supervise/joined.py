# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces that only another container's process has: looked for anew at each start, by that container's name.

A path like /proc/PID/ns/ipc must not outlive the moment: when that process has ended, its PID may be anybody's, and the
path leads into the host's namespaces. So config.json has no path for them. At a start the process is known by its PID
and start time, its namespaces are opened, and while they are open a copy of config.json names the descriptors.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..._kernel import files, process
from ..._kernel.errors import KernelError
from ..errors import BundleError, RuntimeFailure
from . import record
from .launch import Launch


@contextlib.contextmanager
def bundle(launch: Launch) -> Iterator[str]:
    """The bundle to start the container from, good for as long as the context. Raises RuntimeFailure, KernelError."""
    if not launch.namespaces:
        yield launch.bundle
        return
    with contextlib.ExitStack() as stack:
        paths = {}
        for kind, other in launch.namespaces.items():
            fd = _open(kind, other)
            stack.callback(os.close, fd)
            paths[kind] = f"/proc/{os.getpid()}/fd/{fd}"
        yield _copy(launch, paths)


def forget(name: str) -> None:
    """Remove the copy; one that is not there is fine. Raises KernelError."""
    files.remove_file(f"{_directory(name)}/config.json")
    files.remove_directory(_directory(name))


def _directory(name: str) -> str:
    return f"{record.directory(name)}/bundle"


def _open(kind: str, other: str) -> int:
    """A descriptor of a namespace of the process that runs as that container. Raises RuntimeFailure."""
    state = record.read(other)
    if state is None or state.pid is None:
        raise _not_running(kind, other)
    try:
        return process.open_namespace(state.pid, state.start_time, kind)
    except KernelError:
        raise _not_running(kind, other) from None


def _not_running(kind: str, other: str) -> RuntimeFailure:
    return RuntimeFailure(f"namespaces.{kind}: container {other} does not run; start it first")


def _copy(launch: Launch, paths: Mapping[str, str]) -> str:
    """A bundle whose config.json has those paths; it stays until forget(), as runtimes look at it later too."""
    document: Any = files.read_json(f"{launch.bundle}/config.json")
    try:
        listed = document["linux"]["namespaces"]
        document["root"]["path"] = os.path.join(launch.bundle, document["root"]["path"])
        for kind, path in paths.items():
            next(entry for entry in listed if entry["type"] == kind)["path"] = path
    except (KeyError, TypeError, StopIteration):
        raise BundleError("bundle", launch.bundle, "does not have the namespaces that launch.json names") from None
    directory = _directory(launch.id)
    files.make_directory(record.directory(launch.id), 0o700)
    files.make_directory(directory, 0o700)
    files.write_atomically(f"{directory}/config.json", json.dumps(document), 0o600)
    return directory
