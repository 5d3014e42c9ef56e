# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on a container's process and on what belongs to no other resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._runtime.errors import RuntimeFailure
from .bundle_options import in_words_of_options
from .operation import Operation


@dataclass(frozen=True)
class StartContainer(Operation):
    """Start the process; returns when it runs. ``options`` are the bundle's properties by their names here."""

    name: str
    options: tuple[tuple[str, str], ...] = ()

    def describe(self) -> str:
        return f"start container {self.name}"

    def execute(self, kernel: Any) -> None:
        try:
            kernel.runtime.start(self.name)
        except RuntimeFailure as error:
            raise RuntimeFailure(in_words_of_options(str(error), self.options)) from None


@dataclass(frozen=True)
class StopContainer(Operation):
    """Stop signal, time-out, kill; returns when nothing of the container runs."""

    name: str
    why: str = ""

    def describe(self) -> str:
        return f"stop container {self.name}" + (f" ({self.why})" if self.why else "")

    def execute(self, kernel: Any) -> None:
        kernel.runtime.stop(self.name)


@dataclass(frozen=True)
class ClearRuntime(Operation):
    """Remove what a container's processes leave behind: cgroup, runtime state, whatever a killed supervisor left."""

    name: str

    def describe(self) -> str:
        return f"remove the processes, cgroup and runtime state of container {self.name}"

    def execute(self, kernel: Any) -> None:
        kernel.runtime.clear(self.name)


@dataclass(frozen=True)
class InstallLibrary(Operation):
    """Put code of the collection on the host: its runtime, or what brings something back at boot."""

    version: str
    what: str = "nsrun"

    def describe(self) -> str:
        return f"install {self.what} {self.version}"

    def execute(self, kernel: Any) -> None:
        kernel.library.install()


@dataclass(frozen=True)
class RemoveLibrary(Operation):
    """Take that code off the host; nothing of ours is left that needs it."""

    what: str = "nsrun"

    def describe(self) -> str:
        return f"remove {self.what}, as nothing is left that needs it"

    def execute(self, kernel: Any) -> None:
        kernel.library.remove()


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
