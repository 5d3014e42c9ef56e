# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container as the modules return it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._image.format.reference import familiar
from .._runtime.supervise import unit
from .observed import ContainerObserved
from .plan_init import view_of
from .plan_network import has_own_network, networks_before, ports_before
from .plan_resolve import limits
from .plan_volumes import volumes_view
from .records import Container, netns_name


def facts(container: Container, observed: ContainerObserved) -> dict[str, Any]:
    """What is known of a declared container; ``container`` is as declared (for the module: as asked for)."""
    supervised = observed.supervised
    launch: Mapping[str, Any] = observed.documents.get("launch") or {}
    reference = str(launch.get("image") or "")
    _files, unenforced = limits(container.limits, observed)
    config = observed.documents.get("config")
    init, command = view_of(config) if config else (None, None)
    return {
        "name": container.name,
        "status": supervised.status,
        "pid": supervised.pid,
        "image": familiar(reference.rpartition("@")[0]) or reference or None,
        "image_reference": reference or None,
        "command": command,
        "init": init,
        "networks": networks_before(container, observed),
        "ports": ports_before(container.name, observed),
        "netns": netns_name(container.name) if has_own_network(container) else None,
        "cgroup": launch.get("cgroup"),
        "limits": {name: value for name, value in observed.cgroup.files.items() if name in (launch.get("files") or {})},
        "limits_not_enforced": unenforced,
        "unit": unit.unit_name(container.name) if observed.host.systemd else None,
        "started_at": supervised.started_at,
        "finished_at": supervised.finished_at,
        "exit_code": supervised.exit_code,
        "signal": supervised.signal,
        "oom_killed": supervised.oom_killed,
        "restarts": supervised.restarts,
        "error": supervised.error,
        "healthcheck": launch.get("healthcheck"),
        "volumes": volumes_view(container.name, observed.documents),
        "labels": dict(container.labels),
    }
