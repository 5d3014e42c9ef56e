# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""state.json: what is known of a declared container's life, in /run so that a boot forgets it."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from ..._kernel import files, locations, record_file

#: The runtime's own state (--root) of declared containers, whichever runtime it is.
RUNTIME_ROOT = locations.NSRUN

CREATED, RUNNING, RESTARTING, STOPPED, EXITED = "created", "running", "restarting", "stopped", "exited"


class State(NamedTuple):
    """The document. A PID is meaningful only together with its start time (clock ticks since boot)."""

    status: str
    pid: int | None = None
    start_time: int | None = None
    supervisor: int | None = None
    supervisor_start_time: int | None = None
    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    oom_killed: bool = False
    restarts: int = 0
    error: str = ""


def directory(name: str) -> str:
    """Where a container's volatile state is."""
    return f"{locations.CONTAINERS_RUN}/{name}"


def path(name: str) -> str:
    """Its state.json."""
    return f"{directory(name)}/state.json"


def read(name: str) -> State | None:
    """The state, None where the container has none since boot. Raises KernelError(EBADMSG) when damaged."""
    document = record_file.read(path(name))
    return None if document is None else State(**{"status": STOPPED, **record_file.known(document, State._fields)})


def write(name: str, state: State) -> None:
    """Replace the state. Raises KernelError."""
    files.make_directory(directory(name), 0o700)
    files.write_json(path(name), {record_file.VERSION: record_file.FIRST, **state._asdict()}, 0o600)


def forget(name: str) -> None:
    """Remove the state, as when the container is removed; the directory above goes with the last one."""
    for file in ("state.json", "lock", "stop-timeout"):
        files.remove_file(f"{directory(name)}/{file}")
    files.remove_directory(directory(name))
    with contextlib.suppress(OSError):  # others live there
        os.rmdir(locations.CONTAINERS_RUN)
