# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Primitives that come back at boot when their option ``systemd`` says so.

Each has a unit of its own, and the code for it (shipped_kept.py) comes with the module. So a task with a primitive
carries no more than it needs, and no host needs the whole collection for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any
from urllib.parse import quote

from .._core.errors import OptionError, Refused
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.resource import Desired, Observed
from .._kernel import locations, state_directory, systemd
from .._kernel.kernel import Kernel
from . import restoring  # shipped with the module, as the installed program runs it
from .host_code import PACKAGE, HostCode, Program, files_of
from .plan import check_systemd, record_path
from .resource import BootableResource
from .shipped_kept import KEPT

_NAME_MAX = 240


class KeptHost(Kernel):
    """What operations on a primitive and its boot are executed with."""

    def __init__(self, library: HostCode) -> None:
        self.library = library


class KeptResource(BootableResource[Desired, Observed]):
    """A primitive. Only one that is, or was, kept for boot has anything to do with it."""

    def library(self) -> HostCode:
        name, own = type(self).__name__, ".".join(type(self).__module__.split(".")[-2:])
        statements = (
            f"from {PACKAGE}.{own} import {name}\n"
            f"from {PACKAGE}._boot.{restoring.__name__.rpartition('.')[2]} import restore\n"
            f"status = restore([{name}])\n"
        )
        return HostCode(
            self.service.root, {"restore": Program("-IXutf8", statements)}, partial(sources, self.service.name)
        )

    def complete(self, desired: Desired, plan: Plan, world: World) -> Plan:
        boot = self.boot(desired)
        if boot is None or (not boot.keep and world.files.text(record_path(f"{self.name}/{boot.name}")) is None):
            return plan
        if boot.keep:
            check_systemd(world.read(systemd.running))
            kept = (self.service.root, locations.BOOT)
            why = state_directory.why_no_directory() or state_directory.why_read_only(kept)
            if why := why or state_directory.why_unfit(kept, layers=False):
                raise Refused(why)
        return super().complete(desired, plan, world)

    def kernel(self) -> Any:
        return KeptHost(self.library())


def record_name(option: str, name: str) -> str:
    """The name under which an object is recorded: its own as a file name. Raises OptionError."""
    quoted = quote(name, safe="", errors="surrogateescape")
    if len(quoted) > _NAME_MAX:
        raise OptionError(option, name, f"is too long for systemd: true, which takes {_NAME_MAX} bytes")
    return quoted


@cache
def sources(service: str) -> Mapping[str, bytes]:
    """Every file that brings back that service's primitive: the same, whichever module they came with."""
    return files_of(KEPT[service])
