# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A secret file of a stack as a resource: compared by content, mode and owner; its content is shown by nothing."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._core.files import MakeDirectory, RemoveFile
from .._core.observe_world import World
from .._core.operation import Operation, Plan
from .._core.resource import Resource
from .._core.units import RemoveIfEmpty, left_empty
from .._kernel import locations
from .operations import SecretFile, WriteSecret, secret_from
from .records import LOCK


@dataclass(frozen=True)
class SecretObserved:
    """What is there: the content is compared and never shown. ``left`` are directories that a run that was killed has
    made for the file, or not removed with it."""

    content: bytes | None
    mode: int | None = None
    owner: tuple[int, int] = (0, 0)
    has_directory: bool = False
    left: tuple[str, ...] = ()


class SecretFiles(Resource[SecretFile, SecretObserved]):
    """Below locations.SECRETS, in a directory for each project."""

    name = "secret file"
    keeps = (locations.STATE,)

    def desired(self, params: Mapping[str, Any]) -> SecretFile:
        return secret_from(dict(params))

    def locks(self, desired: SecretFile) -> tuple[str, ...]:
        return (LOCK,)

    def observe(self, desired: SecretFile, world: World) -> SecretObserved:
        text = world.files.text(desired.path)
        there = world.files.is_directory(posixpath.dirname(desired.path))
        if text is None:
            left = left_empty((posixpath.dirname(desired.path), locations.SECRETS), world)
            return SecretObserved(None, has_directory=there, left=tuple(left))
        content = text.encode("utf-8", "surrogateescape")
        try:
            status = os.stat(desired.path, follow_symlinks=False)
        except FileNotFoundError:  # it is yet to be written
            return SecretObserved(content, desired.mode, (desired.uid, desired.gid), there)
        return SecretObserved(content, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid), there)

    def plan(self, desired: SecretFile, observed: SecretObserved) -> Plan:
        directory = posixpath.dirname(desired.path)
        before = {} if observed.content is None else {"path": desired.path}
        if desired.content is None:
            if observed.content is None:
                return Plan(tuple(map(RemoveIfEmpty, observed.left)))
            above = (directory, locations.SECRETS, locations.STATE)
            return Plan((RemoveFile(desired.path), *map(RemoveIfEmpty, above)), before, {})
        wanted = (desired.content, desired.mode, (desired.uid, desired.gid))
        if (observed.content, observed.mode, observed.owner) == wanted:
            return Plan((), before, before)
        first: tuple[Operation, ...] = () if observed.has_directory else (MakeDirectory(directory, 0o700),)
        return Plan((*first, WriteSecret(desired)), before, {"path": desired.path})
