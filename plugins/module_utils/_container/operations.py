# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on a container's process and on what belongs to no other resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .._core.operation import ENDING, STARTING, Operation
from .._links.netns import DeleteNetns
from .._runtime.errors import RuntimeFailure
from .._runtime.supervise import control
from .._runtime.supervise.control import Supervised
from .bundle_options import in_words_of_options

if TYPE_CHECKING:
    from .._core.observe_world import World

#: The PID of a process that is yet to be started.
NOT_YET = 0


@dataclass(frozen=True)
class StartContainer(Operation):
    """Start the process; returns when it runs. ``options`` are the bundle's properties by their names here."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    #: What runs now is what was declared.
    commits: ClassVar[bool] = True

    phase: ClassVar[str] = STARTING

    def describe(self) -> str:
        return f"start container {self.name}"

    def execute(self, kernel: Any) -> None:
        try:
            kernel.runtime.start(self.name)
        except RuntimeFailure as error:
            raise RuntimeFailure(in_words_of_options(str(error), self.options)) from None

    def expect(self, world: World) -> None:
        world.expect(Supervised(self.name, "running", NOT_YET, 0), control.observe, self.name)


@dataclass(frozen=True)
class StopContainer(Operation):
    """Stop signal, time-out, kill; returns when nothing of the container runs."""

    name: str
    why: str = ""

    phase: ClassVar[str] = ENDING

    def describe(self) -> str:
        return f"stop container {self.name}" + (f" ({self.why})" if self.why else "")

    def execute(self, kernel: Any) -> None:
        kernel.runtime.stop(self.name)

    def expect(self, world: World) -> None:
        world.expect(Supervised(self.name, "stopped"), control.observe, self.name)


@dataclass(frozen=True)
class InterruptContainer(StopContainer):
    """StopContainer for one that is to run on with other options; it runs again as before where they fail."""

    def undo(self, kernel: Any) -> str:
        if kernel.runtime.by_systemd(self.name):
            kernel.systemd.daemon_reload()  # its unit is the old one again
        kernel.runtime.stop(self.name)  # systemd may be about to try once more
        kernel.runtime.start(self.name)
        return f"start container {self.name} again as it was"


@dataclass(frozen=True)
class ResizeSharedMemory(Operation):
    """Give the tmpfs at ``place`` of a container that runs another size in bytes: a remount, which keeps its files."""

    name: str
    pid: int
    started: int | None
    place: str
    source: str
    size: int

    def describe(self) -> str:
        return f"resize {self.place} of container {self.name} to {self.size} bytes"

    def execute(self, kernel: Any) -> None:
        kernel.process_mounts.resize_tmpfs(self.pid, self.started, self.place, self.source, self.size)


@dataclass(frozen=True)
class ReplaceNetns(DeleteNetns):
    """DeleteNetns for a container that gets one with another owner; where it does not start, it gets one as before.

    ``back`` makes that one, and its links as they are declared now, whatever there is in its place.
    """

    back: tuple[Operation, ...] = ()

    def undo(self, kernel: Any) -> str:
        for operation in self.back:
            operation.execute(kernel)
        return f"create netns {self.name} again with the owner that it had, and the interfaces of it"


@dataclass(frozen=True)
class RemoveMountPoint(Operation):
    """Remove what the runtime made below ``upper`` to mount something on: an empty file or directory, of another kind
    than what is to be mounted there now."""

    upper: str
    path: str

    def describe(self) -> str:
        return f"remove the empty mount point /{self.path} from {self.upper}, as it is of another kind"

    def execute(self, kernel: Any) -> None:
        kernel.files.remove_empty_below(self.upper, self.path)

    def undo(self, kernel: Any) -> None:
        kernel.files.remove_empty_below(self.upper, self.path)  # that of the start that failed


@dataclass(frozen=True)
class ClearRuntime(Operation):
    """Remove what a container's processes leave behind: cgroup, runtime state, whatever a killed supervisor left."""

    name: str

    phase: ClassVar[str] = ENDING

    def describe(self) -> str:
        return f"remove the processes, cgroup and runtime state of container {self.name}"

    def execute(self, kernel: Any) -> None:
        kernel.runtime.clear(self.name)

    def expect(self, world: World) -> None:
        world.expect(Supervised(self.name, "stopped"), control.observe, self.name)
