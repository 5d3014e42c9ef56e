# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``networks`` of a service: which networks its containers are on, and how.

Compose Specification, services, "networks".
"""

from __future__ import annotations

import re
from typing import Any

from .errors import Place
from .keys import ATTACHMENT
from .networks import DEFAULT, Network, Networks
from .options import Options
from .reading import Reader
from .values import NULL, Scalar, Table, Value

#: What a host name may be, see the options of ns_container; a service may have another name.
_ALIAS = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?")
_HIGHEST = 1 << 31


def attach(service: str, table: Table, options: Options, networks: Networks, reader: Reader) -> list[Network]:
    """Set ``networks`` of a container; the networks, the one with the default route first."""
    found: list[tuple[tuple[int, int], Network, dict[str, Any], Table, Place]] = []
    for key, value, place in _named(table, reader):
        network = networks.use(key, place)
        entry = reader.table(value, ATTACHMENT)
        priority = -(reader.integer(entry.get("priority"), -_HIGHEST, _HIGHEST) or 0)
        gateway = -(reader.integer(entry.get("gw_priority"), -_HIGHEST, _HIGHEST) or 0)
        if network is not None:
            made = _attachment(service, str(options.values["name"]), network, entry, reader)
            found.append(((gateway, priority), network, made, entry, place))
    found.sort(key=lambda each: each[0])
    for index, (_order, _network, made, entry, place) in enumerate(found):
        options.add("networks", made, place)
        for option, keys in (("addresses", ("ipv4_address", "ipv6_address")), ("mac", ("mac_address",))):
            for key in keys:
                if entry.get(key) is not None:
                    options.note(f"networks[{index}].{option}", entry.entries[key].place)
    _own_mac(table, options, reader)
    return [network for _order, network, _made, _entry, _place in found]


def _named(table: Table, reader: Reader) -> list[tuple[str, Value, Place]]:
    """The keys of its networks, each with how it is on it."""
    value = table.get("networks")
    if value is None or (not isinstance(value, Scalar) and not len(value)):
        return [(DEFAULT, Scalar(table.place, "", NULL), table.place)]
    if isinstance(value, Table):
        return [(key, inner, inner.place) for key, inner in reader.entries(value)]
    found: dict[str, tuple[str, Value, Place]] = {}
    for key, place in reader.texts(value):
        if key in found:
            reader.problems.wrong(place, "is there twice", key)
        found[key] = (key, Scalar(place, "", NULL), place)
    return list(found.values())


def _attachment(service: str, container: str, network: Network, entry: Table, reader: Reader) -> dict[str, Any]:
    aliases = reader.texts(entry.get("aliases"))
    for alias, place in aliases:
        if not _ALIAS.fullmatch(alias):
            reader.problems.wrong(place, "is not a host name: use letters, digits, '-', '_' and '.'", alias)
    own = [service] if _ALIAS.fullmatch(service) else []
    names = [name for name in dict.fromkeys([*own, *(alias for alias, _place in aliases)]) if name != container]
    addresses = [reader.optional(entry.get(key)) for key in ("ipv4_address", "ipv6_address")]
    made = {
        "name": network.name,
        "aliases": names,
        "addresses": [address for address in addresses if address],
        "mac": reader.optional(entry.get("mac_address")),
        "interface": reader.optional(entry.get("interface_name")),
    }
    return {option: value for option, value in made.items() if value}


def _own_mac(table: Table, options: Options, reader: Reader) -> None:
    """``mac_address`` of the service itself is that of its first interface."""
    value = table.get("mac_address")
    mac = reader.optional(value)
    attached = options.values.get("networks")
    if value is not None and mac is not None and attached and "mac" not in attached[0]:
        attached[0]["mac"] = mac
        options.note("networks[0].mac", value.place)
