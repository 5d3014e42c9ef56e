# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option ``assume``: in check mode, what the tasks before this one would have made is taken as made.

Nothing here is written anywhere: it only completes what was observed, so that the prediction of a whole play is what
the play then does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .._cgroup.observe import resources_for
from .._core.mac import derived_mac
from .._image.format.config import overridden
from .._image.format.reference import parse
from .._image.store.store import Image
from .._images.options_config import overrides
from .._kernel.netlink_links import Link
from .._network import nft_table
from .._network.options import desired_from
from .._network.plan_elements import needs_localnet, network_elements
from .._network.records import Network
from .documents import record
from .observed import ContainerObserved, Host, Neighbour
from .plan_identity import hosts_file, inhabitants
from .plan_network import ContainerNetwork, recorded_elements
from .plan_resolve import resolve
from .records import NOT_YET, Container

Assume = Mapping[str, Any]


def assumed_image(assume: Assume, name: str | None, image: Image | None) -> Image | None:
    """The image as it will be: of one that is made or made anew only the configuration that was asked for is known."""
    for entry in assume.get("images") or ():
        if name is not None and str(parse(entry["name"])) == str(parse(name)):
            known = {"config": image.config if image is not None else {}, "rootfs": {"diff_ids": []}}
            document = overridden(known, overrides(entry.get("config") or {}))
            layers, lowerdirs = (image.layers, image.lowerdirs) if image is not None else ((), ())
            return Image(str(parse(name)), NOT_YET, {}, document, layers, {}, lowerdirs)
    return image


def assumed_host(assume: Assume, host: Host) -> Host:
    """The host with the networks as they will be, and our nftables table, which comes with the first."""
    networks = dict(host.networks)
    for entry in assume.get("networks") or ():
        network = desired_from(entry).network
        if network is not None:
            had = networks.get(network.name)
            mac = network.mac or (had.mac if had is not None else derived_mac(host.identity, network.name))
            networks[network.name] = replace(network, mac=mac)
    table = host.table
    if table is None and networks:
        theirs = [e for network in networks.values() for e in network_elements(network)]
        table = nft_table.made((*host.elements, *(e for e in theirs if e not in host.elements)))
    return replace(host, networks=networks, table=table)


def assumed_boot(assume: Assume, with_systemd: bool) -> bool:
    """Whether what boot needs has come with a container before this one or, where systemd runs, with a network."""
    networks = with_systemd and any(entry.get("state") != "absent" for entry in assume.get("networks") or ())
    return bool(networks or assume.get("containers"))


def assumed_bridges(network: ContainerNetwork | None, networks: Mapping[str, Network]) -> ContainerNetwork | None:
    """The links' surroundings with the bridges of all networks in place."""
    if network is None:
        return None
    veths = {}
    for name, veth in network.veths.items():
        inside, outside = veth.places
        bridge = Link(0, networks[name].bridge, "bridge", networks[name].mac, networks[name].mtu, True, True)
        if outside.bridge is None:
            outside = replace(outside, bridge=bridge, guarded=True)
        veths[name] = replace(veth, places=(inside, outside))
    return replace(network, veths=veths)


def assumed_neighbours(
    container: Container,
    host: Host,
    parse_options: Callable[[Mapping[str, Any]], Container],
    observe: Callable[[Container, Host], ContainerObserved],
) -> Host:
    """The host with the containers that are made before this one and are not declared yet."""
    there = {neighbour.container.name for neighbour in host.neighbours}
    for earlier in _undeclared(container.assume, there, parse_options):
        observed = observe(earlier, replace(host, resources=resources_for(earlier.limits)))
        kept = record(earlier, resolve(earlier, observed))
        host = replace(host, neighbours=(*host.neighbours, Neighbour(earlier, kept, None, None)))
    host = _published(container, host, parse_options)
    everyone = inhabitants(container, None, host)
    return replace(
        host,
        neighbours=tuple(
            replace(n, hosts=hosts_file(n.container.name, everyone))
            if n.hosts is None and n.container.name not in there
            else n
            for n in host.neighbours
        ),
    )


def _published(container: Container, host: Host, parse_options: Callable[[Mapping[str, Any]], Container]) -> Host:
    """The host with the ports of the containers before this one published, and its bridges as that leaves them."""
    if host.table is None:
        return host
    records = {n.container.name: n.record for n in host.neighbours}
    elements = {(e.set_name, e.key): e for e in host.table.elements}
    for entry in container.assume.get("containers") or ():
        if entry.get("state") != "absent" and entry["name"] in records:
            earlier = parse_options({**entry, "state": "present", "limits_required": False})
            elements.update({(e.set_name, e.key): e for e in recorded_elements(earlier, records[earlier.name])})
    names = {*host.localnet, *(attachment.network for attachment in container.networks)}
    localnet = {
        name: "1" if needs_localnet(host.networks[name], elements.values()) else host.localnet.get(name) or "0"
        for name in names & set(host.networks)
        if any(subnet.version == 4 for subnet in host.networks[name].subnets)
    }
    return replace(host, table=replace(host.table, elements=tuple(elements.values())), localnet=localnet)


def _undeclared(
    assume: Assume, there: Iterable[str], parse_options: Callable[[Mapping[str, Any]], Container]
) -> list[Container]:
    images = {"images": assume.get("images")}
    earlier = [
        parse_options({**entry, "state": "present", "limits_required": False, "assume": images})
        for entry in assume.get("containers") or ()
        if entry.get("state") != "absent"
    ]
    return [c for c in earlier if c.name not in set(there)]
