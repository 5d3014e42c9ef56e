# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Top-level ``networks``, as options of bridge_network. Compose Specification, 06-networks.md."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from ...module_utils._core.ip_text import Network as Subnet
from ...module_utils._core.ip_text import ip_address, ip_network
from .errors import Place
from .keys import EXTERNAL, IPAM, IPAM_CONFIG, NETWORK
from .options import Options
from .reading import Reader
from .subnets import chosen_four, chosen_six
from .values import Scalar, Table, Value

#: The network of a service that names none (06-networks.md, "The default network").
DEFAULT = "default"
_DRIVERS = ("bridge", "default", "")
_MTU = "com.docker.network.driver.mtu"
_BRIDGE = "com.docker.network.bridge.name"
_NAT = "com.docker.network.bridge.enable_ip_masquerade"


@dataclass(frozen=True)
class Network:
    """``options`` are None of a network that exists otherwise. ``gateways`` are the host's addresses in it."""

    name: str
    options: Options | None
    gateways: tuple[str, ...] = ()


class Networks:
    """Every network that the file has; those that a service is on are declared."""

    def __init__(self, project: str, declared: Value | None, pool: ipaddress.IPv4Network, reader: Reader) -> None:
        self._project, self._pool, self._reader = project, pool, reader
        entries = dict(reader.entries(declared))
        place = declared.place if declared is not None else Place("", 0, "networks")
        if DEFAULT not in entries:
            entries[DEFAULT] = Table(place.key(DEFAULT), {})
        tables = {key: reader.table(value, NETWORK) for key, value in entries.items()}
        self._subnets = {key: self._named_subnets(table) for key, table in tables.items()}
        self._found = {key: self._network(key, entries[key].place, table) for key, table in tables.items()}
        self._used: dict[str, Network] = {}

    def use(self, key: str, place: Place) -> Network | None:
        """The network that a service is on; None where the file has none of that name."""
        found = self._found.get(key)
        if found is None:
            there = ", ".join(sorted(self._found))
            self._reader.problems.wrong(place, f"is not declared in networks; there are {there}", key)
            return None
        self._used.setdefault(key, found)
        return found

    def declared(self) -> list[Options]:
        """Those that a service is on and that the file declares, in the order of the file."""
        return [n.options for key, n in self._found.items() if key in self._used and n.options is not None]

    def _network(self, key: str, place: Place, table: Table) -> Network:
        name = self._reader.filled(table.get("name"))
        external = table.get("external")
        if external is not None:
            is_external, other = self._external(external)
            if is_external:
                return Network(name or other or key, None)
        self._check_driver(table)
        name = name or f"{self._project}_{key}"
        options = Options(place, name=name)
        if table.get("name") is not None:
            options.note("name", table.entries["name"].place)
        gateways = self._gateways(name, key, table, place)
        options.set("addresses", list(gateways), self._place_of_addresses(table, place))
        self._driver_options(table.get("driver_opts"), options)
        return Network(name, options, tuple(gateway.partition("/")[0] for gateway in gateways))

    def _external(self, value: Value) -> tuple[bool, str | None]:
        """Whether it is, and the name that an older form of the file gives there."""
        if isinstance(value, Table):
            return True, self._reader.filled(self._reader.table(value, EXTERNAL).get("name"))
        return bool(self._reader.boolean(value)), None

    def _check_driver(self, table: Table) -> None:
        driver = table.get("driver")
        found = self._reader.text(driver)
        if driver is not None and found is not None and found not in _DRIVERS:
            self._reader.problems.unsupported(driver.place, f"the driver {found!r}; a network is a bridge")

    def _place_of_addresses(self, table: Table, place: Place) -> Place:
        ipam = table.get("ipam")
        return ipam.place if ipam is not None else place

    def _named_subnets(self, table: Table) -> list[tuple[Subnet, str]]:
        """Those of ipam.config, each with the gateway in it."""
        ipam = self._reader.table(table.get("ipam"), IPAM)
        driver = ipam.get("driver")
        if driver is not None and self._reader.text(driver) not in ("default", "", None):
            self._reader.problems.unsupported(driver.place, "addresses are chosen by the collection")
        found = []
        for item in self._reader.items(ipam.get("config")):
            config = self._reader.table(item, IPAM_CONFIG)
            subnet = self._subnet(item.place, config)
            if subnet is not None:
                found.append((subnet, self._gateway(config, subnet)))
        return found

    def _subnet(self, place: Place, config: Table) -> Subnet | None:
        given = config.get("subnet")
        text = self._reader.text(given)
        if given is None or text is None:
            if config.entries and given is None:
                self._reader.problems.wrong(place, "has no subnet; write subnet: 10.88.0.0/24")
            return None
        try:
            if "/" not in text:
                raise ValueError
            return ip_network(text)
        except ValueError:
            self._reader.problems.wrong(given.place, "is not a subnet; write one like 10.88.0.0/24", text)
            return None

    def _gateway(self, config: Table, subnet: Subnet) -> str:
        """The one that is named, else the first address of the subnet, as Docker chooses it."""
        given = config.get("gateway")
        text = self._reader.text(given)
        if given is None or text is None:
            number = int(subnet.network_address) + (1 if subnet.num_addresses > 2 else 0)
            return f"{ipaddress.ip_address(number) if subnet.version == 4 else ipaddress.IPv6Address(number)}"
        try:
            address = ip_address(text)
            if address not in subnet:
                raise ValueError
        except ValueError:
            self._reader.problems.wrong(given.place, f"is not an address of {subnet}", text)
        return text

    def _gateways(self, name: str, key: str, table: Table, place: Place) -> list[str]:
        """What is named, and a subnet that is chosen for each family that lacks one."""
        named = self._subnets[key]
        found = [f"{gateway}/{subnet.prefixlen}" for subnet, gateway in named]
        families = {subnet.version for subnet, _gateway in named}
        four = self._reader.boolean(table.get("enable_ipv4")) is not False
        six = self._reader.boolean(table.get("enable_ipv6")) is True
        if four and 4 not in families:
            taken = [subnet for others in self._subnets.values() for subnet, _gateway in others]
            chosen = chosen_four(name, self._pool, taken)
            if chosen is None:
                self._reader.problems.wrong(place, f"no subnet of {self._pool} is left; name one in ipam.config")
            else:
                self._subnets[key] = [*self._subnets[key], (chosen, "")]
                found.append(f"{chosen.network_address + 1}/{chosen.prefixlen}")
        if six and 6 not in families:
            subnet = chosen_six(name)
            found.append(f"{subnet.network_address + 1}/{subnet.prefixlen}")
        if not found:
            self._reader.problems.wrong(place, "has no addresses: enable_ipv4 is false; set enable_ipv6: true")
        return found

    def _driver_options(self, value: Value | None, options: Options) -> None:
        for key, inner in self._reader.entries(value):
            found: Any = None
            if key == _MTU:
                options.set("mtu", self._reader.integer(inner, 68, 65535), inner.place)
            elif key == _BRIDGE:
                options.set("bridge", self._reader.filled(inner), inner.place)
            elif key == _NAT:
                found = self._reader.boolean(inner)
                options.set("nat", found, inner.place)
            elif isinstance(inner, Scalar):
                known = f"only {_MTU}, {_BRIDGE} and {_NAT} have a counterpart"
                self._reader.problems.unsupported(inner.place, known)
            else:
                self._reader.text(inner)
