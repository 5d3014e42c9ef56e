# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of netns_veth, checked and normalised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._core.errors import OptionError
from .._core.ip_text import Address, ip_address, ip_interface, ip_network, mapped
from .._core.mac import parse_mac
from .._core.names import check_link_name, check_name
from .._kernel import locations, process
from .._kernel.namespaces import HOST, NetnsRef
from .._kernel.netlink_ip import DEFAULT_METRIC_V6, PROTOCOL, RT_TABLE_MAIN, Route
from .netns import NetnsDesired
from .qdisc import parse_impairment
from .records import VethEnd
from .sysctls import parse_netns_sysctls

#: What the kernel gives lo when it is set up.
_BROADCAST = "255.255.255.255"
_OF_LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))
#: What the name of a container's namespace begins with.
#: PID_MAX_LIMIT of the kernel, proc_sys_kernel(5).
_PID_MAX = 1 << 22
PLACES = ("netns", "path", "pid", "container")


def parse_end(option: str, given: Mapping[str, Any], absent: bool = False) -> VethEnd:
    """One entry of ``ends``. Raises OptionError."""
    netns = parse_place(option, given, absent)
    addresses = parse_addresses(f"{option}.addresses", given.get("addresses"))
    impairment = given.get("impairment")
    return VethEnd(
        interface=check_link_name(f"{option}.interface", given["interface"]),
        netns=netns,
        mac=parse_mac(f"{option}.mac", given.get("mac")),
        mtu=_in_range(f"{option}.mtu", given.get("mtu"), 68, 65535),
        up=given.get("up") is not False,
        bridge=_bridge(f"{option}.bridge", given.get("bridge")),
        hairpin=given.get("hairpin"),
        isolated=given.get("isolated"),
        addresses=addresses,
        routes=parse_routes(f"{option}.routes", given.get("routes"), netns == HOST),
        sysctls=parse_netns_sysctls(f"{option}.sysctls", given.get("sysctls")),
        impaired=impairment is not None,
        qdisc=parse_impairment(f"{option}.impairment", impairment),
        dad=given.get("dad") == "wait",
    )


def parse_place(option: str, given: Mapping[str, Any], absent: bool = False) -> NetnsRef:
    """Where an end is: at most one of netns, path, pid and container; none of them is the host. Raises OptionError."""
    named = [place for place in PLACES if given.get(place) is not None]
    if len(named) > 1:
        raise OptionError(f"{option}.{named[1]}", given[named[1]], f"an end is in one place: remove this or {named[0]}")
    if given.get("pid_start_time") is not None and named != ["pid"]:
        raise OptionError(f"{option}.pid_start_time", given["pid_start_time"], "goes with pid")
    if not named:
        return HOST
    kind = named[0]
    value = given[kind]
    if kind == "pid":
        return _of_process(f"{option}.pid", value, given.get("pid_start_time"), absent)
    if kind == "path":
        if not value.startswith("/") or "\0" in value:
            raise OptionError(f"{option}.path", value, "give an absolute path")
        return NetnsRef.at(value)
    name = check_name(f"{option}.{kind}", value)
    if kind == "netns" and not absent:
        _not_a_containers(f"{option}.netns", name)
    return NetnsRef.named(locations.CONTAINER_NETNS + name if kind == "container" else name)


def _not_a_containers(option: str, name: str) -> None:
    """The namespace of a container goes with it, whoever made one of that name. Raises OptionError."""
    if name.startswith(locations.CONTAINER_NETNS):
        whose = name[len(locations.CONTAINER_NETNS) :] or "NAME"
        words = f"is the network namespace of a container: name an end by container: {whose}, or choose another name"
        raise OptionError(option, name, words)


def container_of(netns: NetnsRef) -> str:
    """The container that a namespace was named by; empty where its name is none that a container gives."""
    return netns.value[len(locations.CONTAINER_NETNS) :] if netns.value.startswith(locations.CONTAINER_NETNS) else ""


def _of_process(option: str, pid: int, start_time: int | None, absent: bool) -> NetnsRef:
    if not 1 <= pid <= _PID_MAX:
        raise OptionError(option, pid, "is no process ID")
    now = process.start_time(pid)
    if not absent and not process.alive(pid, now):
        raise OptionError(option, pid, "there is no such process")
    if not absent and start_time is not None and now != start_time:
        raise OptionError(option, pid, f"the PID belongs to another process now (it began at {now}, not {start_time})")
    # What never was a start time finds nothing, rather than whatever has the PID now.
    return NetnsRef.of_process(pid, start_time if start_time is not None else now if now is not None else -1)


def parse_netns(option: str, given: Mapping[str, Any], absent: bool = False) -> NetnsDesired:
    """One entry of ``namespaces``. Raises OptionError."""
    if not absent:
        _not_a_containers(f"{option}.name", given["name"])
    owner = given.get("owner")
    idmap = None
    if owner is not None:
        first = _in_range(f"{option}.owner.host_id", owner["host_id"], 1, 2**32 - 2) or 0
        size = _in_range(f"{option}.owner.size", owner["size"], 1, 2**32 - 1 - first) or 0
        idmap = (first, size)
    return NetnsDesired(
        name=check_name(f"{option}.name", given["name"]),
        idmap=idmap,
        sysctls=parse_netns_sysctls(f"{option}.sysctls", given.get("sysctls")),
        any_owner=owner is None,
    )


def parse_addresses(option: str, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Addresses with prefix length, normalised. Raises OptionError."""
    if given is None:
        return None
    found: dict[Any, str] = {}
    for text in given:
        try:
            interface = ip_interface(text)
        except ValueError:
            interface = None
        if interface is None or "/" not in text:
            raise OptionError(option, text, "write an address with its prefix length, like 10.88.0.2/24")
        if interface.ip.is_multicast or interface.ip.is_unspecified:
            raise OptionError(option, text, "is not an address that an interface can have")
        if mapped(interface):
            raise OptionError(option, text, f"is an IPv4 address in the form of IPv6: write {mapped(interface)}")
        if interface.ip in _OF_LOOPBACK:
            raise OptionError(option, text, "is the address of lo in every namespace: choose another one")
        if interface.ip in found:
            raise OptionError(option, text, f"is the same address as {found[interface.ip]}")
        found[interface.ip] = f"{interface.ip}/{interface.network.prefixlen}"
    return tuple(found.values())


def parse_routes(option: str, given: Sequence[Mapping[str, Any]] | None, on_host: bool) -> tuple[Route, ...] | None:
    """Routes through the interface. Raises OptionError, also for a default route of the host."""
    if given is None:
        return None
    found: dict[Any, Route] = {}
    for number, entry in enumerate(given):
        route = _route(f"{option}[{number}]", entry)
        if on_host and route.is_default:
            raise OptionError(f"{option}[{number}].to", entry["to"], "the host's default route is never touched")
        if route.key in found:
            raise OptionError(f"{option}[{number}].to", entry["to"], "is there twice with the same metric and table")
        found[route.key] = route
    return tuple(found.values())


def _route(option: str, entry: Mapping[str, Any]) -> Route:
    via, source = (_ip(f"{option}.{name}", entry.get(name)) for name in ("via", "source"))
    to = _destination(f"{option}.to", entry["to"], via)
    version = 6 if ":" in to else 4
    for name, ip in (("via", via), ("source", source)):
        if ip is not None and ip.version != version:
            raise OptionError(f"{option}.{name}", entry[name], f"is IPv{ip.version}, the destination is IPv{version}")
    if via is not None and (via.is_multicast or via.is_loopback or via.is_unspecified or str(via) == _BROADCAST):
        raise OptionError(f"{option}.via", entry["via"], "is no host's address, so it can be no gateway")
    if entry.get("onlink") and via is None:
        raise OptionError(f"{option}.onlink", True, "goes with a gateway (via)")
    table = entry.get("table") or RT_TABLE_MAIN
    if not 1 <= table < 2**32 or table == 255:
        raise OptionError(f"{option}.table", table, "is no table for routes: 254 is main, 255 belongs to the kernel")
    metric = _in_range(f"{option}.metric", entry.get("metric"), 0, 2**32 - 1) or (
        DEFAULT_METRIC_V6 if version == 6 else 0
    )
    return Route(
        to=to,
        via=str(via) if via is not None else None,
        metric=metric,
        source=str(source) if source is not None else None,
        table=table,
        onlink=bool(entry.get("onlink")),
        protocol=PROTOCOL,
    )


def _destination(option: str, text: str, via: Any) -> str:
    if text == "default":
        return "::/0" if via is not None and via.version == 6 else "0.0.0.0/0"
    try:
        network = ip_network(text)
    except ValueError:
        network = None
    if network is not None:
        if network.version == 6 and network.prefixlen >= 96 and mapped(network.network_address):
            raise OptionError(option, text, "is a network of IPv4 in the form of IPv6: write it as one of IPv4")
        return str(network)
    try:
        meant = ip_interface(text).network
    except ValueError:
        raise OptionError(option, text, "write default or a network like 10.0.0.0/8") from None
    raise OptionError(option, text, f"has bits set behind the prefix: {meant} may be meant")


def _ip(option: str, text: str | None) -> Address | None:
    if text is None:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        raise OptionError(option, text, "is not an IP address (without a zone)") from None
    if mapped(address):
        raise OptionError(option, text, f"is an IPv4 address in the form of IPv6: write {mapped(address)}")
    return address


def _bridge(option: str, value: str | None) -> str | None:
    return value if value in (None, "") else check_link_name(option, str(value))


def _in_range(option: str, value: int | None, lowest: int, highest: int) -> int | None:
    if value is not None and not lowest <= value <= highest:
        raise OptionError(option, value, f"must be from {lowest} to {highest}")
    return value
