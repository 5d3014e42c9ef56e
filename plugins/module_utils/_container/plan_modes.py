# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modes of a container's files and directories: its user must read some, and nobody else of the host any. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .._core.files import SetDirectory, SetMode, shown_mode
from .._core.operation import Operation
from .documents import Document, directory
from .observed import ContainerObserved
from .plan_volumes import own_volumes


class Mode(NamedTuple):
    """One that is not as it should be."""

    path: str
    was: int
    wanted: int
    is_directory: bool


def wrong_modes(name: str, documents: Iterable[Document], observed: ContainerObserved) -> tuple[Mode, ...]:
    """Of what is there and stays. The upper directory is what the container sees as its root: that one is its own."""
    directories = (directory(name), *(f"{directory(name)}/{one}" for one in own_directories()), own_volumes(name))
    wanted = [(path, 0o700, True) for path in directories]
    wanted += [(document.path, document.mode, False) for document in documents]
    return tuple(
        Mode(path, observed.modes[path], mode, is_directory)
        for path, mode, is_directory in wanted
        if observed.modes.get(path, mode) != mode
    )


def own_directories() -> tuple[str, ...]:
    """Directories below a container's own that are for root alone, parents first."""
    return ("bundle", "bundle/rootfs", "log", "work")


def set_modes(wrong: Iterable[Mode], written: Iterable[str]) -> list[Operation]:
    """Without what is written anyway, which gets its mode by that."""
    left = [one for one in wrong if one.path not in set(written)]
    return [
        SetDirectory(one.path, one.wanted, shown_mode(one.was))
        if one.is_directory
        else SetMode(one.path, one.wanted, one.was)
        for one in left
    ]


def modes_view(wrong: Iterable[Mode], now: bool) -> Mapping[str, Mapping[str, str]]:
    """What diffs show: the modes as they are ``now``, or as they will be. Empty where all are as they should be."""
    shown = {one.path: f"{one.was if now else one.wanted:04o}" for one in wrong}
    return {"modes": shown} if shown else {}
