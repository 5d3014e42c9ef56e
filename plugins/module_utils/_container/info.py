# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container_info: declared containers as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.names import container_name
from .._core.observe_containers import declared
from .._core.observe_world import World
from .._core.resource import OptionError
from .._image.sources import mount_points
from .._image.sources.difference import differences
from .facts import facts
from .health import health
from .logs import last_lines
from .observe import observe
from .options import container_of


class ContainerInfo:
    """Reads; changes nothing."""

    name = "ns_container_info"
    needs_pyroute2 = True

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """``containers``: one entry each, in order of their names. Raises OptionError, KernelError."""
        lines = params.get("log_lines") or 0
        if lines < 0:
            raise OptionError("log_lines", lines, "must be at least 0")
        wanted = params.get("name")
        if wanted is not None:
            container_name(wanted)
        world = World()
        return {
            "containers": [
                _entry(name, record, params, world) for name, record in declared(world) if wanted in (None, name)
            ]
        }


def _entry(name: str, record: Mapping[str, Any], params: Mapping[str, Any], world: World) -> dict[str, Any]:
    known = container_of(record)
    observed = observe(known, world)
    launch = observed.documents.get("launch") or {}
    entry = facts(known, observed)
    if params.get("log_lines"):
        entry["logs"] = last_lines(name, launch, params["log_lines"])
    if params.get("check_health"):
        entry["health"] = health(name, launch)
    if params.get("changed_files") and launch:
        rootfs = launch["rootfs"]
        mounted = mount_points.mounted(observed.documents.get("config"))
        found = differences(rootfs["upperdir"], rootfs["lowerdirs"], mounted)
        entry["changed_files"] = [vars(difference) for difference in found]
    return entry
