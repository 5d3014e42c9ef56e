# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``ports`` of a service in the notation of ns_container. Compose Specification, services, "ports"."""

from __future__ import annotations

import re

from ...module_utils._core.ip_text import ip_address
from .errors import Place
from .keys import PORT
from .reading import Reader
from .values import Table, Value

_NUMBERS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PROTOCOLS = ("tcp", "udp")
_LAST_PORT = 65535
_WRITE = "write [ADDRESS:]HOST:CONTAINER[/PROTOCOL], such as 8080:80 or 127.0.0.1:5300:53/udp"
_NAMED = "names no port of the host, and none is chosen; write HOST:CONTAINER"


def published(value: Value | None, reader: Reader) -> list[tuple[str, Place]]:
    """Every entry as ``[ADDRESS:]HOST[-LAST]:TARGET[-LAST]/PROTOCOL``, with its place."""
    found = []
    for item in reader.items(value):
        port = _long(item, reader) if isinstance(item, Table) else _short(item, reader)
        if port is not None:
            found.append((port, item.place))
    return found


def _short(item: Value, reader: Reader) -> str | None:
    text = reader.text(item)
    if text is None:
        return None
    ports, slash, protocol = text.partition("/")
    before, _colon, target = ports.rpartition(":")
    address, _colon, host = before.rpartition(":")
    if not _NUMBERS.fullmatch(target) or (host and not _NUMBERS.fullmatch(host)):
        reader.problems.wrong(item.place, _WRITE, text)
        return None
    if not host:
        reader.problems.wrong(item.place, _NAMED, text)
        return None
    return _port(item.place, reader, address, host, target, protocol if slash else "tcp")


def _long(item: Table, reader: Reader) -> str | None:
    port = reader.table(item, PORT)
    target, host = reader.integer(port.get("target"), 1, 65535), reader.text(port.get("published"))
    protocol = reader.one_of(port.get("protocol"), _PROTOCOLS)
    reader.one_of(port.get("mode"), ("host", "ingress"))
    address = reader.text(port.get("host_ip"))
    if port.get("target") is None:
        reader.problems.wrong(item.place, "has no target; name the container's port")
    if target is None:
        return None
    if not host:
        reader.problems.wrong(item.place, "has no published; name the port of the host, as none is chosen")
        return None
    if not _NUMBERS.fullmatch(host):
        reader.problems.wrong(port.entries["published"].place, "write a port, such as 8080", host)
        return None
    return _port(item.place, reader, address or "", host, str(target), protocol or "tcp")


def _port(place: Place, reader: Reader, address: str, host: str, target: str, protocol: str) -> str | None:
    if protocol not in _PROTOCOLS:
        reader.problems.wrong(place, "the protocol is tcp or udp", protocol)
        return None
    if "-" in host and "-" not in target:
        why = "is a range of the host's ports for one of the container's, of which none is chosen; name one port"
        reader.problems.wrong(place, why, f"{host}:{target}")
        return None
    wrong = [each for each in f"{host}-{target}".split("-") if not 1 <= int(each) <= _LAST_PORT]
    if wrong:
        reader.problems.wrong(place, f"a port is a number from 1 to {_LAST_PORT}", int(wrong[0]))
        return None
    if _count(host) != _count(target) or _count(host) < 1:
        why = f"{_count(host)} ports of the host for {_count(target)} of the container; write ranges of one length"
        reader.problems.wrong(place, why, f"{host}:{target}")
        return None
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        ip_address(bare or "0.0.0.0")
    except ValueError:
        reader.problems.wrong(place, "is not an address of the host; write an IPv4 or IPv6 address", address)
        return None
    before = f"[{bare}]:" if ":" in bare else f"{bare}:" if bare else ""
    return f"{before}{host}:{target}/{protocol}"


def _count(ports: str) -> int:
    """How many ports a range has; less than one where it runs backwards."""
    first, _hyphen, last = ports.partition("-")
    return int(last or first) - int(first) + 1
