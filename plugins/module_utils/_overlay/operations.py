# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on overlay mounts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from .._core.operation import Operation
from .._core.paths import show_path
from .._kernel.overlay_state import Layers
from .._kernel.record_file import FIRST, VERSION

if TYPE_CHECKING:
    from .._core.observe_world import World


def coming(world: World) -> dict[bytes, Layers]:
    """The overlays that plans before this one mount, by mount point: no two may write to the same layer."""
    return world.part(("overlays to come",), dict)


def going(world: World) -> set[bytes]:
    """The mount points whose overlays plans before this one unmount."""
    return world.part(("overlays to go",), set)


@dataclass(frozen=True)
class MountOverlay(Operation):
    """Mount an overlay; all layers are real paths."""

    #: What was mounted there before must not come back on top of it.
    commits: ClassVar[bool] = True

    path: bytes
    layers: Layers
    options: tuple[str, ...] = ()
    attributes: int = 0
    why: str = ""

    def describe(self) -> str:
        count = len(self.layers.lowerdirs)
        kind = "writable" if self.layers.upperdir is not None else "read-only"
        layers = f"{count} lower layer{'s' if count > 1 else ''}"
        return f"mount {kind} overlay of {layers} on {show_path(self.path)}" + (f" ({self.why})" if self.why else "")

    def execute(self, kernel: Any) -> None:
        kernel.mount_overlay.mount_overlay(
            self.path,
            self.layers.lowerdirs,
            self.layers.upperdir,
            self.layers.workdir,
            options=self.options,
            attributes=self.attributes,
            source=self.layers.source(),
            idmap=self.layers.idmap,
        )

    def expect(self, world: World) -> None:
        world.files.expect_mount(os.fsdecode(self.path))
        coming(world)[self.path] = self.layers


@dataclass(frozen=True)
class Unmount(Operation):
    """Unmount what is on top at a path; when the new mount then fails, ``again`` brings back what was there."""

    path: bytes
    lazy: bool = False
    #: Whether lazy is something to advise where the mount is busy.
    lazy_helps: bool = True
    again: tuple[Operation, ...] = ()

    def describe(self) -> str:
        return f"unmount {show_path(self.path)}" + (" lazily" if self.lazy else "")

    def execute(self, kernel: Any) -> None:
        kernel.process_holders.unmount(self.path, self.lazy, self.lazy_helps)

    def expect(self, world: World) -> None:
        going(world).add(self.path)
        coming(world).pop(self.path, None)

    def undo(self, kernel: Any) -> None:
        for operation in self.again:
            operation.execute(kernel)


@dataclass(frozen=True)
class SetFlags(Operation):
    """Change the flags of a mount while it is in use."""

    path: bytes
    flags: tuple[str, ...]
    attributes: int

    def describe(self) -> str:
        return f"set the mount flags of {show_path(self.path)} to {', '.join(self.flags) or 'none'}"

    def execute(self, kernel: Any) -> None:
        kernel.mount.set_attributes(self.path, self.attributes)


@dataclass(frozen=True)
class SetPropagation(Operation):
    """Change how mounts below a mount spread."""

    path: bytes
    propagation: str

    def describe(self) -> str:
        return f"make {show_path(self.path)} {self.propagation}"

    def execute(self, kernel: Any) -> None:
        kernel.mount.set_propagation(self.path, self.propagation)


@dataclass(frozen=True)
class WriteRecord(Operation):
    """Write down what mountinfo may not be able to show of a mount: its layers, and what was asked of the kernel.

    When the mount then fails, the record is ``before`` again, or there is none.
    """

    file: str
    layers: Layers
    options: Mapping[str, str] = field(default_factory=dict)
    before: WriteRecord | None = None

    def describe(self) -> str:
        return f"record the layers in {self.file}"

    def execute(self, kernel: Any) -> None:
        kernel.files.make_directory(os.path.dirname(self.file))
        record = {VERSION: FIRST, **self.layers.plain(), "options": dict(self.options)}
        kernel.files.write_json(self.file, record)

    def undo(self, kernel: Any) -> None:
        if self.before is not None:
            self.before.execute(kernel)
        else:
            kernel.files.remove_file(self.file)


@dataclass(frozen=True)
class ClearVolatile(Operation):
    """Take the mark of a volatile overlay off its workdir, the upper layer written out first."""

    upperdir: bytes
    workdir: bytes

    def describe(self) -> str:
        return f"sync {show_path(self.upperdir)} and clear the volatile mark in {show_path(self.workdir)}"

    def execute(self, kernel: Any) -> None:
        kernel.overlay_state.clear_volatile(self.upperdir, self.workdir)


@dataclass(frozen=True)
class LinkUnit(Operation):
    """Make the symbolic link by which systemd starts a unit at boot: what `systemctl enable` does, also where systemd
    does not run."""

    link: str
    target: str

    def describe(self) -> str:
        return f"enable {os.path.basename(self.target)} for the next boot"

    def execute(self, kernel: Any) -> None:
        kernel.files.make_directory(os.path.dirname(self.link))
        kernel.files.make_symlink(self.target, self.link)


@dataclass(frozen=True)
class UnlinkUnit(Operation):
    """Remove that link, and its directory when nothing else is in it."""

    link: str

    def describe(self) -> str:
        return f"disable {os.path.basename(self.link)}"

    def execute(self, kernel: Any) -> None:
        kernel.files.remove_file(self.link)
        kernel.files.remove_if_empty(os.path.dirname(self.link))
