# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``extends``: a service that begins with what another one of the file has.

Compose Specification, 13-merge.md: mappings are merged, lists are joined, and everything else is replaced. Some lists
are replaced as a whole, and in some a later entry replaces the one with the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .errors import Problems
from .keys import EXTENDS
from .reading import Reader
from .values import NULL, Scalar, Sequence, Table, Value, is_null, moved

_LONGEST = 50
#: Lists that are one value.
_REPLACED = frozenset({"command", "entrypoint", "test"})
#: Lists of NAME=VALUE that may be mappings, and lists of names that may be mappings of name to nothing.
_PAIRS = {"annotations": "=", "environment": "=", "extra_hosts": "=:", "labels": "=", "sysctls": "="}
_NAMES = frozenset({"depends_on", "networks"})
#: Texts that may be lists.
_TEXTS = frozenset({"dns", "dns_search", "env_file", "tmpfs"})


def extended(services: Mapping[str, Value], problems: Problems) -> dict[str, Value]:
    """Every service with what it extends merged in."""
    reader = Reader(problems)
    done: dict[str, Value] = {}

    def of(name: str, above: tuple[str, ...]) -> Value:
        if name not in done:
            done[name] = _extended(name, services, reader, of, above)
        return done[name]

    return {name: of(name, ()) for name in services}


def _extended(
    name: str,
    services: Mapping[str, Value],
    reader: Reader,
    of: Callable[[str, tuple[str, ...]], Value],
    above: tuple[str, ...],
) -> Value:
    service = services[name]
    given = service.get("extends") if isinstance(service, Table) else None
    if not isinstance(service, Table) or given is None:
        return service
    own = Table(service.place, {key: value for key, value in service.items() if key != "extends"})
    base = given if isinstance(given, Scalar) else reader.table(given, EXTENDS).get("service")
    if base is None:
        reader.problems.wrong(given.place, "names no service; write extends: {service: NAME}")
        return own
    other = reader.text(base)
    if other is None or (isinstance(given, Table) and given.get("file") is not None):
        return own
    if other not in services:
        reader.problems.wrong(base.place, f"there is no such service; there are {', '.join(sorted(services))}", other)
        return own
    if other in (*above, name):
        circle = " -> ".join([*above, name, other])
        reader.problems.wrong(base.place, f"services extend each other in a circle: {circle}")
        return own
    if len(above) == _LONGEST:
        reader.problems.wrong(base.place, f"more than {_LONGEST} services extend each other in a row")
        return own
    found = moved(of(other, (*above, name)), service.place)
    return _merged("", found, own) if isinstance(found, Table) else own


def _merged(key: str, base: Value, own: Value) -> Value:
    """What stands at ``key`` in the end. What it comes from keeps its line."""
    if is_null(own):
        return base if key else own
    base, own = _alike(key, base), _alike(key, own)
    if isinstance(base, Table) and isinstance(own, Table):
        both = {name: _merged(name, base.entries[name], value) for name, value in own.items() if name in base.entries}
        return Table(own.place, {**base.entries, **own.entries, **both})
    if isinstance(base, Sequence) and isinstance(own, Sequence) and key not in _REPLACED:
        return Sequence(own.place, _joined(key, base, own))
    return own


def _joined(key: str, base: Sequence, own: Sequence) -> tuple[Value, ...]:
    """Both lists; of two entries that say something of the same thing the later one."""
    found = {_identity(key, item): item for item in (*base.items, *own.items)}
    return tuple(found.values())


def _identity(key: str, item: Value) -> object:
    """What no two entries of a list may share: 13-merge.md, "Unique resources"."""
    if isinstance(item, Scalar):
        parts = item.text.split(":")
        return parts[1] if key == "volumes" and len(parts) > 1 else item.text
    if isinstance(item, Table) and key in ("volumes", "secrets", "configs"):
        names = ("target",) if key == "volumes" else ("target", "source")
        found = next((item.get(name) for name in names if item.get(name) is not None), None)
        return found.text if isinstance(found, Scalar) else id(item)
    return id(item)


def _alike(key: str, value: Value) -> Value:
    """The long form of what may be written in two ways."""
    if key in _TEXTS and isinstance(value, Scalar) and value.kind != NULL:
        return Sequence(value.place, (value,))
    if not isinstance(value, Sequence) or not all(isinstance(item, Scalar) for item in value.items):
        return value
    entries: dict[str, Value] = {}
    if key in _NAMES:
        for item in value.items:
            if isinstance(item, Scalar):
                entries[item.text] = Scalar(item.place, "", NULL)
        return Table(value.place, entries)
    if key in _PAIRS:
        for item in value.items:
            if isinstance(item, Scalar):
                at = min((item.text.find(sign) for sign in _PAIRS[key] if sign in item.text), default=-1)
                name = item.text[:at] if at >= 0 else item.text
                entries[name] = Scalar(item.place, item.text[at + 1 :]) if at >= 0 else Scalar(item.place, "", NULL)
        return Table(value.place, entries)
    return value
