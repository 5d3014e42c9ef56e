# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network of a container: its namespace, one veth pair a network, its published ports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._core.errors import OptionError
from .._core.neighbours import plan_neighbours
from .._core.operation import Operation
from .._kernel.namespaces import HOST, NetnsRef
from .._kernel.netlink_ip import PROTOCOL, Route
from .._kernel.netns import NamedNetns
from .._links.addresses import RemoveAddress
from .._links.netns import ALWAYS, DeleteNetns, NetnsDesired, NetnsObserved, plan_netns, plan_netns_absent
from .._links.operations import CreateVeth, DeleteLink, SetLink, birth_name
from .._links.plan import plan_veth, wanted_states
from .._links.plan_together import Pair, make_room
from .._links.records import EndState, VethDesired, VethEnd, VethObserved
from .._links.sysctls import SetSysctls, as_left_by, going_back, interface_of, plan_sysctls, turns_ipv6_off
from .._network.nft_table import ChangeTable, elements_after
from .._network.plan_elements import plan_localnet
from .._network.publish import check_clashes, check_published, plan_publish, publish_elements, published_view
from .._network.records import Network, Published
from .observed import ContainerObserved, Host
from .operations import ReplaceNetns
from .plan_quiet import plan_quiet, quiet_sysctls
from .plan_resolve import network_of
from .records import Container, Resolved, netns_name

#: The metric the kernel gives an IPv6 route that names none (ip-route(8)).
_METRIC6 = 1024
#: Which end of a pair is inside the container.
INSIDE = 0


@dataclass(frozen=True)
class ContainerNetwork:
    """What there is of a container's network. ``veths`` by network, for those that are declared; ``stale`` are the
    host's ends of pairs that were made for it and are not declared any more. ``sysctls`` are those of
    quiet_sysctls(), "" where the namespace is yet to be made. ``going`` are the inner ends of the stale pairs: alias
    to name. ``dropped`` are parameters that were declared and are no longer: what each is, and was before. ``inside``
    and ``outside`` are the neighbours known for good, by network: on the link in the container, and on the network's
    bridge. ``earlier`` are the addresses that it had, by network. ``switches`` are the declared parameters that make
    something else of those of quiet_sysctls() when they are written.
    """

    netns: NetnsObserved
    veths: Mapping[str, VethObserved] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    sysctls: Mapping[str, str | None] = field(default_factory=dict)
    going: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    inside: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    outside: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    earlier: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    switches: Mapping[str, str | None] = field(default_factory=dict)


def unknown(live: Mapping[str, str | None]) -> dict[str, str | None]:
    """The same parameters in a namespace that is yet to be made."""
    return {name: None if value is None else "" for name, value in live.items()}


def pair_name(container: str, network: str) -> str:
    """The veth pair between a container and a network, as its alias says it."""
    return f"container/{container}/{network}"


def host_end(container: str, network: str) -> str:
    """The interface on the bridge: readable, and unlike any other (at most 15 bytes)."""
    digest = hashlib.sha256(f"{container}/{network}".encode()).hexdigest()[:5]
    return f"bk-{container[:5]}-{digest}"


def owner(name: str) -> str:
    """How a container's elements in our nftables table name it."""
    return f"container/{name}"


def has_own_network(container: Container) -> bool:
    """Whether its network namespace is its own."""
    return container.namespaces.get("network", "private") == "private"


def veth_desired(
    container: Container,
    index: int,
    network: Network,
    addresses: tuple[str, ...] | None,
    seed: str,
    earlier: tuple[str, ...] = (),
) -> VethDesired:
    """The pair of one attachment; ``addresses`` None leaves them open, which is enough to observe it. ``earlier`` are
    those that it had by its record. What others set in the container (a VPN, keepalived, a routing daemon) stays."""
    attachment = container.networks[index]
    routes = _default_routes(network) if index == 0 else ()
    inside = VethEnd(
        attachment.interface,
        NetnsRef.named(netns_name(container.name)),
        mac=attachment.mac,
        mtu=network.mtu,
        addresses=addresses,
        routes=routes if addresses is not None else None,
        earlier=earlier,
    )
    # Hairpin: a container that calls its own published port gets its packets back through the port they came from.
    outside = VethEnd(
        host_end(container.name, network.name),
        mtu=network.mtu,
        bridge=network.bridge,
        hairpin=True,
        isolated=False,
        pinned=True,
    )
    return VethDesired(pair_name(container.name, network.name), (inside, outside), exclusive=False, seed=seed)


def _default_routes(network: Network) -> tuple[Route, ...]:
    gateways = network.gateways
    six = [Route("::/0", via=via, metric=_METRIC6, protocol=PROTOCOL) for via in gateways if ":" in via]
    four = [Route("0.0.0.0/0", via=via, protocol=PROTOCOL) for via in gateways if ":" not in via]
    return (*four[:1], *six[:1])


def plan_dropped_sysctls(container: Container, resolved: Resolved, observed: ContainerObserved) -> list[Operation]:
    """What is declared no longer goes back, as the namespace outlives the processes that were started with it.

    To be done before the bundle is written, from which it is known.
    """
    there = observed.network
    return _going_back(container, there) if there is not None and _to_be_replaced(resolved, there) is None else []


def _going_back(container: Container, there: ContainerNetwork) -> list[Operation]:
    live, before = ({name: both[which] for name, both in there.dropped.items()} for which in (0, 1))
    back = tuple(going_back(before, live, before).items())
    return [SetSysctls(NetnsRef.named(netns_name(container.name)), back, "declared no longer")] if back else []


def _plan_sysctls(container: Container, there: ContainerNetwork, before: Iterable[Operation]) -> list[Operation]:
    """The namespace is quiet, and stays so: what the container's start will write is written first where the kernel
    overwrites something with it that is to be 0. ``before`` is done until then."""
    netns = NetnsRef.named(netns_name(container.name))
    live = {**there.switches, **there.sysctls}
    live = as_left_by(before, netns, live)
    switches = {name: container.sysctls[name] for name in there.switches}
    operations = plan_sysctls(netns, tuple(switches.items()), {name: live[name] for name in switches})
    live = as_left_by(operations, netns, live)
    return operations + plan_quiet(netns, {name: live[name] for name in there.sysctls})


def plan_network(
    container: Container, resolved: Resolved, observed: ContainerObserved, goes_back: bool = False
) -> list[Operation]:
    """Namespace, links, ports; ``goes_back`` is of a container that runs again as it did where it cannot be started.

    Raises OptionError, Refused.
    """
    ports = plan_ports(container, resolved, observed)
    _check_ipv6(container, resolved)
    there = observed.network
    if not has_own_network(container) or there is None:
        return ports
    old = _to_be_replaced(resolved, there)
    if old is None:
        return _plan_links(container, resolved, observed, there) + ports
    # The owner of a namespace never changes: the container gets a new one, and new links.
    going = [DeleteLink(end, HOST, "its namespace is replaced") for end in there.ends]
    name, bare = netns_name(container.name), _without_namespace(container, there)
    back: list[Operation] = []
    if goes_back:
        ends = [host_end(container.name, attachment.network) for attachment in container.networks]
        born = [birth_name(pair_name(container.name, attachment.network), 1) for attachment in container.networks]
        back = [*(DeleteLink(end, HOST) for end in (*ends, *born)), DeleteNetns(name)]
        back += _plan_links(container, replace(resolved, idmap=old.idmap), observed, bare)
    made = _plan_links(container, resolved, observed, bare)
    return [*going, ReplaceNetns(name, tuple(back)) if goes_back else DeleteNetns(name), *made, *ports]


def _check_ipv6(container: Container, resolved: Resolved) -> None:
    """Raises OptionError where a parameter takes addresses away that the container's networks give it."""
    for attachment, addresses in zip(container.networks, resolved.addresses):
        off = turns_ipv6_off(container.sysctls, attachment.interface)
        if off and any(":" in address for address in addresses):
            words = f"keeps IPv6 off {attachment.interface}, and network {attachment.network} has IPv6: leave it out"
            raise OptionError(f"sysctls.{off}", container.sysctls[off], f"{words}, or use a network without IPv6")


def _to_be_replaced(resolved: Resolved, there: ContainerNetwork) -> NamedNetns | None:
    """The namespace that is there and has another owner than the container is to have."""
    named = there.netns.named
    lives = named is not None and named.ours and named.identity is not None
    return named if named is not None and lives and named.idmap != resolved.idmap else None


def _without_namespace(container: Container, there: ContainerNetwork) -> ContainerNetwork:
    """What is left when the namespace and all pairs are gone: what the host's bridges know of its addresses."""
    return ContainerNetwork(
        NetnsObserved(),
        {name: _gone(veth) for name, veth in there.veths.items()},
        sysctls=unknown({name: there.sysctls.get(name) for name in quiet_sysctls(container.sysctls, ())}),
        switches=unknown({name: value for name, value in there.switches.items() if interface_of(name) is None}),
        outside=there.outside,
        earlier=there.earlier,
    )


def _plan_links(
    container: Container, resolved: Resolved, observed: ContainerObserved, there: ContainerNetwork
) -> list[Operation]:
    """The namespace, and what is in it."""
    wanted = NetnsDesired(netns_name(container.name), resolved.idmap)
    operations: list[Operation] = []
    operations += plan_netns(wanted, there.netns)
    operations += _plan_sysctls(container, there, _going_back(container, there))
    operations += [DeleteLink(end, HOST, "the network is not declared any more") for end in there.stale]
    pairs = _pairs(container, resolved, there, observed)
    first, veths = make_room(pairs, there.going)
    operations += first
    for index, (pair, veth) in enumerate(zip(pairs, veths)):
        option = f"networks[{index}]"
        changes = plan_veth(pair.desired, veth, options=(option, option))
        operations += changes
        operations += _plan_neighbours(
            pair, veth, changes, network_of(container.networks[index], index, observed.host), there
        )
    return operations + _forgotten(there, {a.network for a in container.networks}, observed.host)


def _plan_neighbours(
    pair: Pair, veth: VethObserved, changes: list[Operation], network: Network, there: ContainerNetwork
) -> list[Operation]:
    """Host and container know each other by what was declared, not by what somebody on the bridge answers."""
    inside = wanted_states(pair.desired, veth)[INSIDE]
    gateways = dict.fromkeys(network.gateways, network.mac)
    own = {address.partition("/")[0]: inside.mac for address in pair.desired.ends[INSIDE].addresses or ()}
    known = there.inside.get(network.name, {})
    # A link that goes down, or loses its last IPv4 address, forgets; and a new one knows nothing.
    if any(isinstance(o, (SetLink, CreateVeth, RemoveAddress)) for o in changes):
        known = {}
    old_gateways = frozenset(ip for ip, mac in known.items() if mac == network.mac)
    had = frozenset(there.earlier.get(network.name, ()))
    return [
        *plan_neighbours(inside.netns, inside.interface, gateways, known, old_gateways),
        *plan_neighbours(HOST, network.bridge, own, there.outside.get(network.name, {}), had),
    ]


def _forgotten(there: ContainerNetwork, on: Iterable[str], host: Host) -> list[Operation]:
    """The bridges of networks that it is not on any more forget its addresses.

    One that is declared absent may name networks that no record of it knows: there it had no address.
    """
    left = [(host.networks[name], known) for name, known in there.outside.items() if name not in on]
    return [
        operation
        for network, known in left
        for operation in plan_neighbours(
            HOST, network.bridge, {}, known, frozenset(there.earlier.get(network.name, ()))
        )
    ]


def _pairs(
    container: Container, resolved: Resolved, there: ContainerNetwork, observed: ContainerObserved
) -> list[Pair]:
    pairs = []
    for index, attachment in enumerate(container.networks):
        network = network_of(attachment, index, observed.host)
        desired = veth_desired(container, index, network, resolved.addresses[index], observed.host.identity)
        pairs.append(Pair(desired, there.veths[attachment.network], INSIDE))
    return pairs


def _gone(veth: VethObserved) -> VethObserved:
    """A pair as it is when its namespace and both ends are gone."""
    inside, outside = veth.places
    places = (replace(inside, exists=False, clash=None, sysctls={}), replace(outside, clash=None))
    return replace(veth, ends=(None, None), joined=False, births=(), places=places)


def plan_ports(container: Container, resolved: Resolved, observed: ContainerObserved) -> list[Operation]:
    """The container's elements in our nftables table. Raises OptionError, Refused."""
    host, mine = observed.host, owner(container.name)
    published = published_of(container, resolved)
    check_published("networks.ports", mine, published)
    check_clashes("networks.ports", mine, published, host.table, host.listeners, dict(host.holders))
    return _table_and_bridges(plan_publish(mine, published, host.table, host.elements), host)


def _table_and_bridges(changes: tuple[ChangeTable, ...], host: Host) -> list[Operation]:
    """The guard first, then what it guards: 127.0.0.1 leads into a bridge as long as something is published there."""
    elements = elements_after(changes, host.table)
    switches = [plan_localnet(host.networks[name], elements, live) for name, live in sorted(host.localnet.items())]
    return [*changes, *(switch for network in switches for switch in network)]


def published_of(container: Container, resolved: Resolved) -> tuple[Published, ...]:
    """What the table is to hold: ports by attachment; a stopped container keeps them, as it keeps its addresses."""
    return tuple(
        Published(tuple(address.partition("/")[0] for address in addresses), attachment.ports)
        for attachment, addresses in zip(container.networks, resolved.addresses)
    )


def plan_network_removal(name: str, observed: ContainerObserved) -> list[Operation]:
    """Take ports, links and namespace away. Raises Refused where the namespace is not ours."""
    host = observed.host
    operations = _table_and_bridges(plan_publish(owner(name), (), host.table, host.elements), host)
    there = observed.network
    if there is None:
        return operations
    operations += [DeleteLink(end, HOST) for end in there.ends]
    operations += _forgotten(there, (), host)
    return operations + plan_netns_absent(netns_name(name), there.netns, ALWAYS if _is_ours(there) else "never")


def _is_ours(there: ContainerNetwork) -> bool:
    return there.netns.named is not None and there.netns.named.ours


def networks_before(container: Container, observed: ContainerObserved) -> dict[str, Any]:
    """Each declared network as the kernel shows the container on it; one that it is not on yet is not named.

    One that it is on and that is not declared any more is named with the addresses that the record gave it.
    """
    there = observed.network
    veths = there.veths if there is not None else {}
    found: dict[str, Any] = {}
    for attachment in container.networks:
        veth = veths.get(attachment.network)
        if veth is not None and veth.ends[INSIDE] is not None:
            found[attachment.network] = _shown(veth.ends[INSIDE])
    if there is not None and there.stale:
        declared = {attachment.network for attachment in container.networks}
        recorded: Mapping[str, list[str]] = (observed.record or {}).get("addresses") or {}
        found.update({name: {"addresses": sorted(a)} for name, a in recorded.items() if name not in declared})
    return found


def networks_after(container: Container, resolved: Resolved, observed: ContainerObserved) -> dict[str, Any]:
    """The same, as it will be."""
    there = observed.network
    if there is None:
        return {}
    pairs = _pairs(container, resolved, there, observed)
    _first, veths = make_room(pairs, there.going)
    return {
        attachment.network: _shown(wanted_states(pair.desired, veth)[INSIDE])
        for attachment, pair, veth in zip(container.networks, pairs, veths)
    }


def _shown(end: EndState | None) -> dict[str, Any]:
    if end is None:
        return {}
    return {"interface": end.interface, "mac": end.mac, "mtu": end.mtu, "addresses": sorted(end.addresses)}


def ports_before(name: str, observed: ContainerObserved) -> dict[str, list[str]]:
    """The live published ports: target address to ports."""
    table = observed.host.table
    return published_view(e for e in (table.elements if table is not None else ()) if e.comment == owner(name))


def ports_after(container: Container, resolved: Resolved) -> dict[str, list[str]]:
    """The same, as declared."""
    return published_view(publish_elements(owner(container.name), published_of(container, resolved)))
