# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What networks and containers share: one unit brings them back, and its code is also their runtime."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._core import observe_containers
from .._core.observe_world import World
from .._core.resource import Desired, Observed
from .._kernel import locations
from . import library
from .plan import NETWORKS
from .resource import BootableResource, recorded


class DeclaredResource(BootableResource[Desired, Observed]):
    """A network or a container."""

    service = NETWORKS
    keeps: tuple[str, ...] = (locations.STATE, locations.LIBRARY)

    def library(self) -> Any:
        return library

    def declared(self, world: World) -> Iterator[str]:
        yield from (f"bridge_network/{name}" for name in recorded(locations.NETWORKS, world))
        yield from (f"ns_container/{name}" for name in observe_containers.names(world))

    def kernel(self) -> Any:
        from .host import ContainerHost  # here: most tasks find nothing to change

        return ContainerHost()
