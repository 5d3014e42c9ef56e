# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""stack_info: what stacks made, as it is, and where it is no longer as it was declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core import observe_containers
from .._core.errors import Refused
from .._core.fold import Item, plan_one
from .._core.names import check_name
from .._core.observe_world import World
from .._image.store.store import full_name, on_host
from .._kernel.errors import BareKernelError
from .observe_record import names, read
from .resource import resource_of


class StackInfo:
    """Reads; changes nothing."""

    name = "stack_info"
    needs_pyroute2 = True

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """``stacks``: one entry each, in order of their names. Raises OptionError, KernelError."""
        world, wanted = World(), params.get("name")
        if wanted is not None:
            check_name("name", wanted)
        return {
            "stacks": [
                {"name": name, "objects": _objects(name, bool(params.get("drift")), world)}
                for name in names(world)
                if wanted in (None, name)
            ]
        }


def _objects(stack: str, drift: bool, world: World) -> dict[str, Any]:
    return {key: _object(key, params, drift, world) for key, params in read(stack, world).objects.items()}


def _object(key: str, params: Mapping[str, Any], drift: bool, world: World) -> dict[str, Any]:
    """What its own module returns of it, and with ``drift`` what a task with its declaration would do."""
    kind, _slash, name = key.partition("/")
    resource = resource_of(kind)
    try:
        if kind in ("image", "file"):
            there = world.read(on_host, full_name(name)) if kind == "image" else world.files.text(name)
            missing = [] if there is not None else [f"make {key} again: it is not on this host"]
            return {"drift": missing} if drift else {}
        desired = _declared(kind, name, params, world)
        found = resource.facts(desired, resource.observe(desired, world))
        if drift:
            result = plan_one(Item(key, resource, desired), World(), {})
            if result.error is not None:
                raise result.error
            found["drift"] = result.plan.actions
    except BareKernelError as error:
        return {"error": str(error)}
    return found


def _declared(kind: str, name: str, params: Mapping[str, Any], world: World) -> Any:
    """The object as it was declared, by its own record or the stack's. Raises Refused where there is none."""
    if kind == "container":
        from .._container.options import container_of  # here, as below: a host need not have such objects

        record = observe_containers.read(name, world)
        if record is None:
            raise Refused(f"container {name} is not declared on this host any more")
        return container_of(record)
    if kind == "network":
        from .._network.recorded import read_network
        from .._network.resource import desired_from_record

        network = read_network(name, world)
        if network is None:
            raise Refused(f"network {name} is not declared on this host any more")
        return desired_from_record(network)
    return resource_of(kind).desired({**params, "state": "present"})
