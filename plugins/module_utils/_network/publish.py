# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports: their notation, their elements in our nftables table, and who holds a port already."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .._core.errors import OptionError, Refused
from .._kernel.nft import Element, Table
from .._kernel.sockets import Listener
from .nft_table import ANY, ONE, ChangeTable, plan_elements
from .records import Network, PortRange, Published

_PORTS = re.compile(
    r"(?:(?:\[(?P<six>[^\]]*)\]|(?P<four>[^:\[\]]*)):)?(?P<host>[0-9]+(?:-[0-9]+)?):(?P<target>[0-9]+(?:-[0-9]+)?)"
    r"(?:/(?P<protocol>.*))?"
)
_WRITE = (
    "write [ADDRESS:]HOST[-LAST]:TARGET[-LAST][/tcp|udp], "
    "like 8080:80, 127.0.0.1:5300:53/udp or [fd00::1]:8000-8009:80-89"
)
_WILDCARD = {4: "0.0.0.0", 6: "::"}


@dataclass(frozen=True)
class HostPort:
    """One port of the host in one family; ``address`` None means any address of that family."""

    version: int
    protocol: str
    port: int
    address: str | None

    def __str__(self) -> str:
        address = self.address or ("any IPv4 address" if self.version == 4 else "any IPv6 address")
        return f"{self.port}/{self.protocol} on {address}"

    def meets(self, other: HostPort) -> bool:
        """Whether one packet could be meant for both."""
        same = (self.version, self.protocol, self.port) == (other.version, other.protocol, other.port)
        return same and (self.address is None or other.address is None or self.address == other.address)


def parse_ports(option: str, texts: Sequence[str]) -> tuple[PortRange, ...]:
    """The notation docker and podman users know; a port of the host must be named. Raises OptionError."""
    return tuple(_parse(option, text) for text in texts)


def publish_elements(owner: str, published: Sequence[Published]) -> tuple[Element, ...]:
    """What the table must hold for these ports: one element a port and family."""
    return tuple(element for element, _port, _text in _expanded(owner, published))


def plan_publish(
    owner: str, published: Sequence[Published], table: Table | None, declared: Iterable[Element] = ()
) -> tuple[ChangeTable, ...]:
    """For an owner that has nothing but published ports in the table (a container). Raises Refused."""
    return plan_elements(owner, publish_elements(owner, published), table, declared)


def check_published(option: str, owner: str, published: Sequence[Published]) -> None:
    """Input that cannot be meant: a port published twice, an address of a family that the target does not have.

    Raises OptionError.
    """
    seen: dict[tuple[int, str, int], list[HostPort]] = {}
    for target in published:
        for ports in target.ports:
            if not list(_families(target, ports)):
                raise OptionError(option, str(ports), "the target has no address of that family")
    for _element, port, text in _expanded(owner, published):
        others = seen.setdefault((port.version, port.protocol, port.port), [])
        if any(port.meets(other) for other in others):
            raise OptionError(option, text, f"publishes {port} a second time")
        others.append(port)


def check_clashes(
    option: str,
    owner: str,
    published: Sequence[Published],
    table: Table | None,
    listeners: Iterable[Listener],
    holders: dict[int, str],
) -> None:
    """Ports that someone else has: another owner's elements, a process of the host (only for ports not yet ours).

    ``holders`` names the process of a listener's inode where it is known (see listeners_in_the_way). Raises Refused.
    """
    taken, mine, heard = _owned(table), _mine(table, owner), _by_port(listeners)
    for element, port, text in _expanded(owner, published):
        for other, holder in taken.get((port.version, port.protocol, port.port), ()):
            if holder != owner and port.meets(other):
                raise Refused(f"{option}: {text!r}: port {other} is published by {holder}; choose another port")
        if (element.set_name, element.key) in mine:
            continue
        listener = _listener_at(port, heard)
        if listener is not None:
            who = holders.get(listener.inode, "a process")
            raise Refused(
                f"{option}: {text!r}: port {listener.port}/{listener.protocol} on {listener.address} is in use by "
                f"{who}; stop it or choose another port"
            )


def listeners_in_the_way(published: Sequence[Published], listeners: Iterable[Listener]) -> tuple[Listener, ...]:
    """The listeners whose holders check_clashes would like to name."""
    heard = _by_port(listeners)
    met = (_listener_at(port, heard) for _element, port, _text in _expanded("", published))
    return tuple(dict.fromkeys(listener for listener in met if listener is not None))


def addresses_of(published: Iterable[Published]) -> frozenset[str]:
    """The addresses of the host that ports are published on, where they name one."""
    named = {ports.address for target in published for ports in target.ports if ports.address is not None}
    return frozenset(named - set(_WILDCARD.values()))


def warnings_of_absent(
    options: Iterable[tuple[str, Sequence[PortRange]]], absent: Collection[str], networks: Iterable[Network]
) -> tuple[str, ...]:
    """One for each port on an address that the host does not have: those of ``absent`` that no network is about to
    bring. ``options``: the name of an option with a list of ports, and these."""
    coming = {gateway for network in networks for gateway in network.gateways}
    return tuple(
        f"{option}[{index}]: '{ports}': this host does not have the address {ports.address}, so nothing arrives there "
        "until it has; leave the address out to publish on all"
        for option, listed in options
        for index, ports in enumerate(listed)
        if ports.address in absent and ports.address not in coming
    )


def _parse(option: str, text: str) -> PortRange:
    match = _PORTS.fullmatch(text.strip())
    if match is None:
        raise OptionError(option, text, _WRITE)
    protocol = match["protocol"] if match["protocol"] is not None else "tcp"
    if protocol not in ("tcp", "udp"):
        raise OptionError(option, text, "the protocol is tcp or udp")
    first, count = _range(option, text, match["host"])
    target, target_count = _range(option, text, match["target"])
    if count != target_count:
        raise OptionError(option, text, f"{count} ports of the host for {target_count} ports of the target")
    given = match["six"] if match["six"] is not None else match["four"]
    return PortRange(first, target, count, protocol, _address(option, text, given, match["six"] is not None))


def _range(option: str, text: str, ports: str) -> tuple[int, int]:
    first, _hyphen, last = ports.partition("-")
    low, high = int(first), int(last or first)
    if not (1 <= low <= 65535 and 1 <= high <= 65535):
        raise OptionError(option, text, "a port is a number from 1 to 65535")
    if high < low:
        raise OptionError(option, text, "the last port of a range comes after the first")
    return low, high - low + 1


def _address(option: str, text: str, given: str | None, six: bool) -> str | None:
    if given is None:
        return None
    try:
        address = ipaddress.IPv6Address(given) if six else ipaddress.IPv4Address(given)
    except ValueError:
        raise OptionError(option, text, f"{given!r} is not an IP address; " + _WRITE) from None
    if six and address.is_loopback:
        raise OptionError(
            option, text, "the kernel cannot translate ::1; publish on 127.0.0.1, where localhost finds it"
        )
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise OptionError(option, text, f"no packet has that address: write {address.ipv4_mapped}")
    if "%" in given or address.is_multicast:
        raise OptionError(option, text, "the address must be one that the host itself can have, without a zone")
    return str(address)


def _families(target: Published, ports: PortRange) -> Iterator[tuple[int, str]]:
    """The families in which the range can be published, with the target's address."""
    wanted = None if ports.address is None else ipaddress.ip_address(ports.address).version
    for address in target.addresses:
        version = ipaddress.ip_address(address).version
        if wanted in (None, version):
            yield version, address


def _expanded(owner: str, published: Sequence[Published]) -> Iterator[tuple[Element, HostPort, str]]:
    for target in published:
        for ports in target.ports:
            for version, to in _families(target, ports):
                only = None if ports.address in (None, _WILDCARD[version]) else ports.address
                for offset in range(ports.count):
                    host = HostPort(version, ports.protocol, ports.host_port + offset, only)
                    value = (to, str(ports.target_port + offset))
                    key = (ports.protocol, str(host.port))
                    if only is None:
                        yield Element(ANY[version], key, value, owner), host, str(ports)
                    else:
                        yield Element(ONE[version], (only, *key), value, owner), host, str(ports)


def _owned(table: Table | None) -> dict[tuple[int, str, int], list[tuple[HostPort, str]]]:
    """Every published port in the table with its owner."""
    found: dict[tuple[int, str, int], list[tuple[HostPort, str]]] = {}
    for element in table.elements if table is not None else ():
        for version in (4, 6):
            if element.set_name not in (ANY[version], ONE[version]) or not element.comment:
                continue
            address = element.key[0] if element.set_name == ONE[version] else None
            protocol, port = element.key[-2], int(element.key[-1])
            host = HostPort(version, protocol, port, address)
            found.setdefault((version, protocol, port), []).append((host, element.comment))
    return found


def _mine(table: Table | None, owner: str) -> set[tuple[str, tuple[str, ...]]]:
    return {(e.set_name, e.key) for e in (table.elements if table is not None else ()) if e.comment == owner}


def _by_port(listeners: Iterable[Listener]) -> dict[tuple[str, int], list[Listener]]:
    found: dict[tuple[str, int], list[Listener]] = {}
    for listener in listeners:
        found.setdefault((listener.protocol, listener.port), []).append(listener)
    return found


def _listener_at(port: HostPort, heard: dict[tuple[str, int], list[Listener]]) -> Listener | None:
    for listener in heard.get((port.protocol, port.port), ()):
        address = ipaddress.ip_address(listener.address)
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        # A socket on :: takes IPv4 too, unless it says otherwise.
        both = listener.address == "::" and not listener.only_ipv6
        if address.version != port.version and not both:
            continue
        if both or address.is_unspecified or port.address in (None, str(address)):
            return listener
    return None


def published_view(elements: Iterable[Element]) -> dict[str, list[str]]:
    """Elements back to the options' notation: target address -> ports, consecutive ones joined to ranges."""
    points = []
    for element in elements:
        for version in (4, 6):
            if element.set_name in (ANY[version], ONE[version]):
                address = element.key[0] if element.set_name == ONE[version] else ""
                protocol, port = element.key[-2:]
                points.append((element.value[0], protocol, address, int(port), int(element.value[1])))
    view: dict[str, list[str]] = {}
    for to, ports in _joined(sorted(points)):
        view.setdefault(to, []).append(str(ports))
    return view


def _joined(points: Sequence[tuple[str, str, str, int, int]]) -> Iterator[tuple[str, PortRange]]:
    run: list[tuple[str, str, str, int, int]] = []
    for point in points:
        if run and point != (*run[-1][:3], run[-1][3] + 1, run[-1][4] + 1):
            yield _as_range(run)
            run = []
        run.append(point)
    if run:
        yield _as_range(run)


def _as_range(run: Sequence[tuple[str, str, str, int, int]]) -> tuple[str, PortRange]:
    to, protocol, address, port, target = run[0]
    return to, PortRange(port, target, len(run), protocol, address or None)
