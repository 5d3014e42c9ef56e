# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a command has to run in a container, and as what process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._core.errors import Refused
from .._core.operation import Operation, Plan
from .._kernel.errors import absent

#: Bytes of a command's standard output, and of its standard error, that are kept: they are held in memory.
OUTPUT_MOST = 8 * 1024 * 1024
#: What to do about a container that does not run, by its status.
_ADVICE = {
    "restarting": "it ended, and is started again after a pause; its log says why it ended",
    "created": "it has not begun yet; try again",
}


@dataclass(frozen=True)
class Exec:
    """A command as asked for. ``done`` is what is asked of the second look: nothing more.

    ``most``: bytes of each of its outputs that are kept.
    """

    name: str
    argv: tuple[str, ...]
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    user: str | None = None
    creates: str | None = None
    removes: str | None = None
    timeout: float | None = None
    strip: bool = True
    done: bool = False
    most: int = OUTPUT_MOST


@dataclass(frozen=True)
class ExecObserved:
    """The container's state, its bundle's process, the looked-up user, and whether the two paths exist.

    ``status`` is None where there is no container of that name.
    """

    status: str | None
    process: Mapping[str, Any] = field(default_factory=dict)
    user: tuple[int, int, tuple[int, ...]] | None = None
    created: bool = False
    to_remove: bool = True
    runtime: str = "nsrun"


@dataclass(frozen=True)
class RunCommand(Operation):
    """Run it and return what it left: rc, stdout and stderr, and how many bytes of each were left out."""

    name: str
    process: Mapping[str, Any]
    stdin: bytes
    timeout: float | None
    runtime: str
    strip: bool
    most: int

    def describe(self) -> str:
        return f"run {' '.join(self.process['args'])} in container {self.name}"

    def execute(self, kernel: Any) -> Any:
        done = kernel.runtime.exec_(self.name, self.process, self.stdin, self.timeout, self.runtime, self.most)
        out, err = (raw.decode("utf-8", "surrogateescape") for raw in (done.stdout, done.stderr))
        if self.strip:
            out, err = out.rstrip("\r\n"), err.rstrip("\r\n")
        omitted = {"stdout_omitted": done.stdout_omitted, "stderr_omitted": done.stderr_omitted}
        return {"rc": done.rc, "stdout": out, "stderr": err, **omitted}


def plan_exec(wanted: Exec, observed: ExecObserved) -> Plan:
    """The command, unless ``creates`` or ``removes`` say that it ran before. Raises Refused."""
    if wanted.done:
        return Plan()
    if observed.status is None:
        raise absent(Refused(f"name: '{wanted.name}': no container of that name is declared on this host"))
    if observed.status != "running":
        advice = _ADVICE.get(observed.status, "start it with ns_container")
        raise Refused(f"name: '{wanted.name}': the container is {observed.status}; {advice}")
    if observed.created or not observed.to_remove:
        return Plan()
    process = _process(wanted, observed)
    how = (wanted.stdin, wanted.timeout, observed.runtime, wanted.strip, wanted.most)
    command = RunCommand(wanted.name, process, *how)
    return Plan((command,), {}, {"command": list(wanted.argv)})


def _process(wanted: Exec, observed: ExecObserved) -> dict[str, Any]:
    """The container's own process object with another command: same capabilities, limits and seccomp policy."""
    base = observed.process
    environment = dict(entry.partition("=")[::2] for entry in base["env"])
    environment.update(wanted.env)
    process = {
        **base,
        "terminal": False,
        "args": list(wanted.argv),
        "env": [f"{name}={value}" for name, value in sorted(environment.items())],
        "cwd": wanted.cwd or base["cwd"],
    }
    if observed.user is not None:
        uid, gid, groups = observed.user
        process["user"] = {"uid": uid, "gid": gid, "additionalGids": list(groups)}
        bounding = base["capabilities"]["bounding"]
        held = bounding if uid == 0 else []
        process["capabilities"] = {**base["capabilities"], "effective": held, "permitted": held}
    return process
