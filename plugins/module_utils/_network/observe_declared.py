# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our nftables table should hold, by what is recorded: for whoever finds it flushed or damaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .._core import observe_containers
from .._core.observe_world import World
from .._kernel.nft import Element, Table
from . import nft_table
from .plan_elements import network_elements
from .publish import parse_ports, publish_elements
from .records import Network, Published


def declared_elements(
    networks: Iterable[Network], table: Table | None, world: World, without: str = ""
) -> tuple[Element, ...]:
    """Those of all networks; where the table is not whole also those of the containers, but of the owner ``without``.

    Raises KernelError for a damaged record.
    """
    networks = tuple(networks)
    found = [element for network in networks for element in network_elements(network) if network.owner != without]
    if table is None or not nft_table.as_template(table):
        names = {network.name for network in networks}
        found += [element for element in _of_containers(names, world) if element.comment != without]
    return tuple(found)


def _of_containers(networks: set[str], world: World) -> Iterator[Element]:
    for name, record in observe_containers.declared(world):
        published = []
        for attached in (record.get("params") or {}).get("networks") or ():
            addresses = (record.get("addresses") or {}).get(attached["name"]) or ()
            if attached["name"] in networks:
                ports = parse_ports("networks.ports", attached.get("ports") or ())
                published.append(Published(tuple(a.partition("/")[0] for a in addresses), ports))
        yield from publish_elements(f"container/{name}", published)
