# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on cgroups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._core import observe_cgroups
from .._core.operation import Operation

if TYPE_CHECKING:
    from .._core.observe_world import World

DECLARED = "declared"
IMPLIED = "implied"


@dataclass(frozen=True)
class MakeCgroup(Operation):
    """Make one cgroup, marked as ours: declared, or implied (on the way to one that is)."""

    path: str
    mark: str = DECLARED

    def describe(self) -> str:
        return f"make cgroup {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.make(self.path, self.mark)

    def expect(self, world: World) -> None:
        observe_cgroups.expect_made(world, self.path, self.mark)

    def undo(self, kernel: Any) -> None:
        kernel.cgroup.remove(self.path)


@dataclass(frozen=True)
class AdoptCgroup(Operation):
    """A cgroup that we made on the way to another is now asked for itself, so it outlives the other."""

    path: str

    def describe(self) -> str:
        return f"keep cgroup {self.path} for its own sake"

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.make(self.path, DECLARED)

    def expect(self, world: World) -> None:
        observe_cgroups.expect_made(world, self.path, DECLARED)


@dataclass(frozen=True)
class EnableControllers(Operation):
    """Enable controllers for the children of a cgroup."""

    path: str
    controllers: tuple[str, ...]

    def describe(self) -> str:
        return f"enable {', '.join(self.controllers)} for the children of cgroup {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.enable_controllers(self.path, self.controllers)

    def expect(self, world: World) -> None:
        observe_cgroups.expect_enabled(world, self.path, self.controllers)

    def undo(self, kernel: Any) -> None:
        kernel.cgroup.disable_controllers(self.path, self.controllers)


@dataclass(frozen=True)
class DisableControllers(Operation):
    """Disable controllers that we enabled for the children of a cgroup, once none of these relies on them."""

    path: str
    controllers: tuple[str, ...]

    def describe(self) -> str:
        return f"disable {', '.join(self.controllers)} for the children of cgroup {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.disable_controllers(self.path, self.controllers)

    def expect(self, world: World) -> None:
        observe_cgroups.expect_disabled(world, self.path, self.controllers)


@dataclass(frozen=True)
class WriteCgroupFile(Operation):
    """Set a control file. before: what undo writes back; None where the cgroup itself goes."""

    path: str
    file: str
    value: str
    before: str | None = None

    def describe(self) -> str:
        shown = self.value.replace("\n", "; ") or "empty"
        return f"set {self.path}/{self.file} to {shown}"

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.write(self.path, self.file, self.value)

    def expect(self, world: World) -> None:
        observe_cgroups.expect_setting(world, self.path, self.file, self.value)

    def undo(self, kernel: Any) -> None:
        if self.before is not None:
            kernel.cgroup.write(self.path, self.file, self.before)


@dataclass(frozen=True)
class AttachProcess(Operation):
    """Move a process into a cgroup; ``started`` (clock ticks since boot) makes sure that it is still the same one."""

    path: str
    pid: int
    started: int

    def describe(self) -> str:
        return f"move process {self.pid} to cgroup {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.attach_process(self.path, self.pid, self.started)


@dataclass(frozen=True)
class Freeze(Operation):
    """Freeze or thaw all processes of a cgroup and wait until they are."""

    path: str
    frozen: bool

    def describe(self) -> str:
        return f"{'freeze' if self.frozen else 'thaw'} cgroup {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.freeze(self.path, self.frozen)


@dataclass(frozen=True)
class KillCgroup(Operation):
    """SIGKILL every process in a cgroup and below, and wait until it is empty."""

    path: str

    def describe(self) -> str:
        return f"kill all processes in cgroup {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.kill(self.path)


@dataclass(frozen=True)
class RemoveCgroup(Operation):
    """Remove an empty cgroup, with recursive all below it first."""

    path: str
    recursive: bool = False

    def describe(self) -> str:
        return f"remove cgroup {self.path}" + (" and all below it" if self.recursive else "")

    def execute(self, kernel: Any) -> None:
        kernel.cgroup.remove(self.path, self.recursive)

    def expect(self, world: World) -> None:
        observe_cgroups.expect_gone(world, self.path)
