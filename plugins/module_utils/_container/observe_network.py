# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel shows of a container's network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .._core.observe_links import links, netns_identity, permanent
from .._core.observe_world import World
from .._kernel import nft, sockets, sysctl
from .._kernel.namespaces import HOST, NetnsRef
from .._kernel.sysctl_carried import carried
from .._links import operations as links_
from .._links.netns import NetnsDesired, NetnsObserved
from .._links.observe import links_of, observe_netns, observe_veth
from .._links.observe_sysctls import values_of_new
from .._links.operations import birth_name, veth_alias
from .._links.records import EndState, VethObserved
from .._network import nft_table
from .._network import records as networks_
from .._network.plan_elements import localnet_sysctl
from .._network.publish import addresses_of, listeners_in_the_way
from .._network.records import Network, Published
from .plan_network import INSIDE, ContainerNetwork, has_own_network, pair_name, unknown, veth_desired
from .plan_quiet import quiet_sysctls
from .records import Attachment, Container, netns_name

#: What is read and changed with a container's network.
LOCKS = (links_.LOCK, networks_.LOCK, nft_table.LOCK)


def observe(
    container: Container,
    networks: dict[str, Network],
    before: Mapping[str, Sequence[str]],
    seed: str,
    started_with: Mapping[str, str],
    world: World,
) -> ContainerNetwork | None:
    """Its namespace and links, None where its network is another's. ``before`` are the networks it was declared on,
    with the addresses it had there; ``started_with`` are the parameters in its bundle.

    Raises KernelError.
    """
    absent = container.state == "absent"
    if not absent and not has_own_network(container):
        return None
    wanted = NetnsDesired(netns_name(container.name))
    known = netns_identity(world, wanted.ref)
    if known is not None:
        links_of(world, known, wanted.ref)  # one question for all that is asked of its interfaces below
    netns = observe_netns(wanted, world, contents=absent)
    veths = {
        attachment.network: observe_veth(
            veth_desired(
                container, index, networks[attachment.network], None, seed, tuple(before.get(attachment.network, ()))
            ),
            world,
            wide=False,
        )
        for index, attachment in enumerate(container.networks)
        if attachment.network in networks
    }
    ends = _host_ends(container.name, before, world)
    declared = {attachment.network for attachment in container.networks}
    quiet = {} if absent else _quiet(container, netns, [v.ends[INSIDE] for v in veths.values()], world)
    return ContainerNetwork(
        netns,
        veths,
        sysctls=quiet,
        switches={} if absent else _switches(container, quiet, netns.exists, world),
        dropped={} if absent or not netns.exists else _dropped(container, started_with, quiet, world),
        stale=tuple(name for network, name in ends if network not in declared),
        ends=tuple(name for _network, name in ends),
        inside=_known_inside(veths, world),
        outside={name: permanent(world, networks[name].bridge) for name in {*before, *declared} if name in networks},
        earlier={name: tuple(a.partition("/")[0] for a in addresses) for name, addresses in before.items()},
        going=_going(container.name, {network for network, _name in ends} - declared, world) if netns.exists else {},
    )


def _going(name: str, stale: Iterable[str], world: World) -> dict[str, str]:
    """The inner ends of those pairs. Raises KernelError."""
    aliases = {veth_alias(pair_name(name, network), INSIDE) for network in stale}
    ref = NetnsRef.named(netns_name(name))
    known = netns_identity(world, ref) if aliases else None
    return {link.alias: link.name for link in links_of(world, known, ref) if link.alias in aliases} if known else {}


def _known_inside(veths: Mapping[str, VethObserved], world: World) -> dict[str, dict[str, str]]:
    inner = {name: veth.ends[INSIDE] for name, veth in veths.items()}
    return {n: permanent(world, e.interface, e.netns) for n, e in inner.items() if e is not None}


def _quiet(
    container: Container, netns: NetnsObserved, inside: Iterable[EndState | None], world: World
) -> dict[str, str | None]:
    ref = NetnsRef.named(netns_name(container.name))
    interfaces = [end.interface for end in inside if end is not None and end.netns == ref]
    names = quiet_sysctls(container.sysctls, interfaces if netns.exists else ())
    live = world.sysctls(names, ref if netns.exists else HOST)
    return live if netns.exists else unknown(live)


def _switches(container: Container, quiet: Iterable[str], exists: bool, world: World) -> dict[str, str | None]:
    quiet = tuple(quiet)
    names = [name for name, value in container.sysctls.items() if carried(name, value, quiet)]
    live = world.sysctls(names, NetnsRef.named(netns_name(container.name)) if exists else HOST)
    return live if exists else unknown(live)


def _dropped(
    container: Container, started_with: Mapping[str, str], quiet: Iterable[str], world: World
) -> dict[str, tuple[str | None, str | None]]:
    """Live value and the one to go back to, of the namespace as when it was made, of an interface as of a new one."""
    kept = {sysctl.path_of(name) for name in (*container.sysctls, *quiet)}
    names = [n for n in started_with if n.startswith("net") and sysctl.path_of(n) not in kept]
    if not names:
        return {}
    ref = NetnsRef.named(netns_name(container.name))
    live, back = world.sysctls(names, ref), values_of_new(ref, names)
    return {name: (live[name], back[name]) for name in names}


def _host_ends(name: str, before: Iterable[str], world: World) -> list[tuple[str, str]]:
    """(network, interface) of every pair's end on the host: by its mark, or by the name it was born with."""
    born = {birth_name(pair_name(name, network), end): network for network in before for end in (0, 1)}
    found = []
    for link in links(world):
        network = born.get(link.name, "") if not link.alias else _network_of(name, link.alias)
        if network and link.kind == "veth":
            found.append((network, link.name))
    return found


def _network_of(container: str, alias: str) -> str:
    """The network of a pair's host end, by its alias; empty for any other alias."""
    network = alias.rpartition("/")[0].rpartition("/")[2]
    return network if alias == veth_alias(pair_name(container, network), 1) else ""


def table(world: World) -> nft.Table | None:
    """Our nftables table. Raises KernelError."""
    return world.read(nft.read_table, nft_table.FAMILY, nft_table.NAME)


def localnet(names: Iterable[str], networks: Mapping[str, Network], world: World) -> dict[str, str | None]:
    """route_localnet of the bridges of those networks that are declared and have IPv4. Raises KernelError."""
    wanted = {name: localnet_sysctl(networks[name]) for name in names if name in networks}
    live = world.sysctls(wanted.values())
    return {name: live[path] for name, path in wanted.items() if any(s.version == 4 for s in networks[name].subnets)}


def absent(attachments: Iterable[Attachment]) -> frozenset[str]:
    """Of the addresses that ports are published on, those that this host does not have."""
    named = addresses_of(Published((), attachment.ports) for attachment in attachments)
    return frozenset(address for address in named if not sockets.is_local(address))


def listeners(attachments: Iterable[Attachment], world: World) -> tuple[tuple[sockets.Listener, ...], dict[int, str]]:
    """The host's listening sockets where a port is published, and who holds those in the way. Raises KernelError."""
    # Both families, as the addresses are not known yet: only the holders' names are looked up for too many.
    published = [Published(("0.0.0.0", "::"), a.ports) for a in attachments if a.ports]
    if not published:
        return (), {}
    heard = world.read(sockets.read_listeners)
    in_the_way = listeners_in_the_way(published, heard)
    return heard, {listener.inode: sockets.holder_of(listener.inode) for listener in in_the_way}
