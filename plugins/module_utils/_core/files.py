# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on files and directories that several planners use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .operation import Operation
from .paths import show_path

if TYPE_CHECKING:
    from .observe_world import World


def shown(path: str | bytes) -> str:
    """A path as messages show it."""
    return show_path(os.fsencode(path))


def shown_mode(mode: int, uid: int = 0, gid: int = 0) -> str:
    """A mode with its owner as messages and diffs show it."""
    return f"mode {mode:04o}, owner {uid}:{gid}"


@dataclass(frozen=True)
class MakeDirectory(Operation):
    """Create a directory (and its parents) with that mode and owner, marked as ours when asked."""

    path: str | bytes
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mark: bool = False

    def describe(self) -> str:
        return f"create directory {shown(self.path)} ({shown_mode(self.mode, self.uid, self.gid)})"

    def execute(self, kernel: Any) -> None:
        kernel.files.make_directory(self.path, self.mode, self.uid, self.gid, self.mark)

    def expect(self, world: World) -> None:
        world.files.expect_directory(os.fsdecode(self.path), self.mode)


@dataclass(frozen=True)
class MakeNewDirectory(MakeDirectory):
    """MakeDirectory that is taken back while nobody has put anything in it."""

    def undo(self, kernel: Any) -> None:
        kernel.files.remove_if_empty(self.path)


@dataclass(frozen=True)
class SetDirectory(Operation):
    """Set the mode and owner of a directory of ours that has others."""

    path: str
    mode: int
    was: str

    def describe(self) -> str:
        return f"set directory {self.path} to {shown_mode(self.mode)} (it has {self.was})"

    def execute(self, kernel: Any) -> None:
        kernel.files.set_directory(self.path, self.mode)

    def expect(self, world: World) -> None:
        world.files.expect_mode(self.path, self.mode)


@dataclass(frozen=True)
class RemoveDirectory(Operation):
    """Remove an empty directory."""

    path: str | bytes

    def describe(self) -> str:
        return f"remove directory {shown(self.path)}"

    def execute(self, kernel: Any) -> None:
        kernel.files.remove_directory(self.path)

    def expect(self, world: World) -> None:
        world.files.expect_gone(os.fsdecode(self.path))


@dataclass(frozen=True)
class RemoveTree(Operation):
    """Remove a directory and everything in it."""

    path: str | bytes

    def describe(self) -> str:
        return f"remove {shown(self.path)} and all it contains"

    def execute(self, kernel: Any) -> None:
        kernel.files.remove_tree(self.path)

    def expect(self, world: World) -> None:
        world.files.expect_gone(os.fsdecode(self.path))


@dataclass(frozen=True)
class WriteFile(Operation):
    """Write a file of ours whole or not at all; in_place keeps the inode that a bind mount follows."""

    path: str
    content: str
    mode: int = 0o600
    in_place: bool = False
    why: str = ""

    def describe(self) -> str:
        return f"write {self.path}" + (f" ({self.why})" if self.why else "")

    def execute(self, kernel: Any) -> None:
        if self.in_place:
            kernel.files.write_in_place(self.path, self.content, self.mode)
        else:
            kernel.files.write_atomically(self.path, self.content, self.mode)

    def expect(self, world: World) -> None:
        world.files.expect_file(self.path, self.content, self.mode)


@dataclass(frozen=True)
class ReplaceFile(WriteFile):
    """WriteFile that can be taken back; ``previous`` is what is there now, None where there is no such file."""

    previous: str | None = None

    def undo(self, kernel: Any) -> None:
        if self.previous is None:
            kernel.files.remove_file(self.path)
        elif self.in_place:
            kernel.files.write_in_place(self.path, self.previous, self.mode)
        else:
            kernel.files.write_atomically(self.path, self.previous, self.mode)


@dataclass(frozen=True)
class SetAside(Operation):
    """Give a directory another name beside its own until nobody can want it back."""

    path: str
    aside: str

    def describe(self) -> str:
        return f"rename {self.path} to {self.aside}"

    def execute(self, kernel: Any) -> None:
        kernel.files.rename(self.path, self.aside)

    def expect(self, world: World) -> None:
        world.files.expect_gone(self.path)

    def undo(self, kernel: Any) -> None:
        kernel.files.remove_tree(self.path)
        kernel.files.rename(self.aside, self.path)


@dataclass(frozen=True)
class SetMode(Operation):
    """Set the mode of a file of ours."""

    path: str
    mode: int
    was: int

    def describe(self) -> str:
        return f"set mode {self.mode:04o} on {self.path} (it has {self.was:04o})"

    def execute(self, kernel: Any) -> None:
        kernel.files.set_mode(self.path, self.mode)

    def expect(self, world: World) -> None:
        world.files.expect_mode(self.path, self.mode)


@dataclass(frozen=True)
class RemoveFile(Operation):
    """Remove a file of ours."""

    path: str

    def describe(self) -> str:
        return f"remove {self.path}"

    def execute(self, kernel: Any) -> None:
        kernel.files.remove_file(self.path)

    def expect(self, world: World) -> None:
        world.files.expect_gone(self.path)
