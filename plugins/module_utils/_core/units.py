# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on units of systemd and on the code that they run."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .operation import Operation

if TYPE_CHECKING:
    from .observe_world import World

#: The key of World.part, with ``what``: the version of that code which is on the host, None for none.
LIBRARY = "library"


@dataclass(frozen=True)
class InstallLibrary(Operation):
    """Put code of the collection on the host: its runtime, or what brings something back at boot."""

    version: str
    what: str = "nsrun"

    def describe(self) -> str:
        return f"install {self.what} {self.version}"

    def execute(self, kernel: Any) -> None:
        kernel.library.install()

    def expect(self, world: World) -> None:
        world.expect_part(self.version, (LIBRARY, self.what))


@dataclass(frozen=True)
class RemoveLibrary(Operation):
    """Take that code off the host; nothing of ours is left that needs it."""

    what: str = "nsrun"

    def describe(self) -> str:
        return f"remove {self.what}, as nothing is left that needs it"

    def execute(self, kernel: Any) -> None:
        kernel.library.remove()

    def expect(self, world: World) -> None:
        world.expect_part(None, (LIBRARY, self.what))


@dataclass(frozen=True)
class EnableUnit(Operation):
    """Have systemd start this unit at boot, or no longer, and read the unit files again (seconds on a slow host).

    ``reload`` False where ReloadUnits comes soon.
    """

    unit: str
    enabled: bool = True
    reload: bool = True

    def describe(self) -> str:
        return f"{'enable' if self.enabled else 'disable'} {self.unit}"

    def execute(self, kernel: Any) -> None:
        if self.enabled:
            kernel.systemd.enable(self.unit)
        else:
            kernel.systemd.disable(self.unit)
        if self.reload:
            kernel.systemd.daemon_reload()

    def expect(self, world: World) -> None:
        from .._kernel import systemd  # here: most tasks have nothing to do

        world.expect(self.enabled, systemd.starts_at_boot, self.unit)


@dataclass(frozen=True)
class ReloadUnits(Operation):
    """Have systemd read the unit files again."""

    def describe(self) -> str:
        return "have systemd read its unit files again"

    def execute(self, kernel: Any) -> None:
        kernel.systemd.daemon_reload()


@dataclass(frozen=True)
class RemoveIfEmpty(Operation):
    """Remove a directory that several objects share, unless something is still in it."""

    path: str

    def describe(self) -> str:
        return f"remove directory {self.path} if nothing is left in it"

    def execute(self, kernel: Any) -> None:
        kernel.files.remove_if_empty(self.path)

    def expect(self, world: World) -> None:
        if world.files.is_empty_directory(self.path):
            world.files.expect_gone(self.path)


def left_empty(directories: Iterable[str], world: World) -> list[str]:
    """Which of these, each in the one after it, a removal that was interrupted has left with nothing in them."""
    found: list[str] = []
    for path in directories:
        inside = {posixpath.basename(other) for other in found if posixpath.dirname(other) == path}
        if world.files.is_directory(path) and set(world.files.names(path)) <= inside:
            found.append(path)
    return found
