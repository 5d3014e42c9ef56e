# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``depends_on`` and ``links``: which services come first, and what is waited for.

Compose Specification, services, "depends_on", "links".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .errors import Place
from .keys import DEPENDENCY
from .reading import Reader
from .values import Table, Value, is_null

STARTED = "started"
_CONDITIONS = {
    "service_started": STARTED,
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}


@dataclass(frozen=True)
class Dependency:
    """One service that comes before another one."""

    service: str
    condition: str
    place: Place
    required: bool = True


def dependencies(table: Table, shared: list[tuple[str, Place]], reader: Reader) -> dict[str, Dependency]:
    """Of one service, by name; ``shared`` are services whose namespaces it has."""
    found = {name: Dependency(name, STARTED, place) for name, place in [*_links(table.get("links"), reader), *shared]}
    value = table.get("depends_on")
    if not isinstance(value, Table):
        found.update({name: Dependency(name, STARTED, place) for name, place in reader.texts(value)})
        return found
    for name, inner in reader.entries(value):
        found[name] = _dependency(name, inner, reader)
    return found


def _dependency(name: str, value: Value, reader: Reader) -> Dependency:
    table = reader.table(value, DEPENDENCY)
    given = table.get("condition")
    word = reader.one_of(given, tuple(_CONDITIONS))
    if given is None and not is_null(value):
        reader.problems.wrong(value.place, f"has no condition; write one of {', '.join(_CONDITIONS)}")
    required = reader.boolean(table.get("required")) is not False
    return Dependency(name, _CONDITIONS[word or "service_started"], value.place, required)


def _links(value: Value | None, reader: Reader) -> list[tuple[str, Place]]:
    """A link to a service means that it comes first; its name is known on each network anyway."""
    found = []
    for text, place in reader.texts(value):
        service, _colon, alias = text.partition(":")
        if alias not in ("", service):
            why = f"{alias!r} would be a name for one container alone; add it to the aliases of {service}"
            reader.problems.unsupported(place, why)
        found.append((service, place))
    return found


def check(
    wanted: Mapping[str, Mapping[str, Dependency]], all_services: Collection[str], reader: Reader
) -> dict[str, dict[str, Dependency]]:
    """The dependencies on services that take part. What is missing and what goes in a circle is an error."""
    found: dict[str, dict[str, Dependency]] = {}
    for service, named in wanted.items():
        found[service] = {}
        for name, dependency in named.items():
            if name in wanted:
                found[service][name] = dependency
            elif not dependency.required:
                continue
            elif name in all_services:
                why = "is not chosen by the profiles; name one of its profiles, or set required: false"
                reader.problems.wrong(dependency.place, why, name)
            else:
                reader.problems.wrong(dependency.place, "there is no such service", name)
    _check_circles(found, reader)
    return found


def _check_circles(graph: Mapping[str, Mapping[str, Dependency]], reader: Reader) -> None:
    """Each circle once, as a -> b -> a. Without recursion: a chain may be as long as the file."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        ahead: list[tuple[str, int]] = [(start, 0)]
        while ahead:
            name, depth = ahead.pop()
            del path[depth:]
            if name in path:
                circle = [*path[path.index(name) :], name]
                place = graph[path[-1]][name].place
                reader.problems.wrong(place, f"services wait for each other in a circle: {' -> '.join(circle)}")
                continue
            if name in done:
                continue
            path.append(name)
            done.add(name)
            ahead += [(other, depth + 1) for other in reversed(list(graph[name]))]
