# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a task to a stack: its entries, and what each of them refers to. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from .._core.errors import OptionError
from .._core.fold import COMPLETED, HEALTHY, MADE, STARTED
from .._core.names import check_name
from .._image.errors import ImageError
from .._image.format.reference import familiar
from .._image.store.store import full_name
from .records import BY_NAME, KINDS, Entry, Kind, Stack

_CONDITIONS = (STARTED, HEALTHY, COMPLETED)
#: Strongest last: where a container is needed for several reasons.
_BY_STRENGTH = (MADE, STARTED, HEALTHY, COMPLETED)


def stack_from(params: Mapping[str, Any]) -> Stack:
    """Raises OptionError."""
    entries: dict[str, Entry] = {}
    for kind in KINDS:
        for index, given in enumerate(params.get(kind.option) or ()):
            entry = _entry(kind, index, {**given, **_of_all(kind, params)})
            if entry.key in entries:
                other = entries[entry.key].option
                raise OptionError(f"{entry.option}.{kind.key}", given[kind.key], f"is declared by {other} too")
            entries[entry.key] = entry
    return Stack(
        stack_name(params),
        tuple(_with_needs(entry, entries) for entry in entries.values()),
        prune=bool(params.get("prune")),
        absent=params.get("state") == "absent",
        only=_only(params.get("only") or ()),
        progress=params.get("progress_file") or "",
    )


def stack_name(params: Mapping[str, Any]) -> str:
    """Raises OptionError."""
    return check_name("name", params.get("name") or "default")


def _of_all(kind: Kind, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the action plugin gives for all images of the task."""
    given = ("progress_file", "handed_over") if kind.name == "image" else ()
    return {name: params[name] for name in given if params.get(name) is not None}


def entry_name(kind: Kind, given: str, option: str) -> str:
    """The name by which an object is known, however it is spelled. Raises OptionError."""
    if kind.name == "image":
        try:
            return familiar(full_name(given))
        except ImageError as error:
            raise OptionError(option, given, str(error)) from None
    return posixpath.normpath(given) if kind.key == "path" else given


def _entry(kind: Kind, index: int, given: Mapping[str, Any]) -> Entry:
    option = f"{kind.option}[{index}]"
    name = given.get(kind.key)
    if not isinstance(name, str) or not name:
        raise OptionError(f"{option}.{kind.key}", name, "is required: every object has its own")
    return Entry(kind.name, entry_name(kind, name, f"{option}.{kind.key}"), given, option)


def _only(keys: Iterable[str]) -> frozenset[str]:
    """Each KIND, or KIND/NAME with the name as the stack spells it."""
    found = set()
    for index, key in enumerate(keys):
        name, slash, rest = key.partition("/")
        kind = BY_NAME.get(name)
        if kind is None or (slash and not rest):
            kinds = ", ".join(BY_NAME)
            raise OptionError(f"only[{index}]", key, f"write KIND or KIND/NAME like container/web; kinds are {kinds}")
        found.add(f"{name}/{entry_name(kind, rest, f'only[{index}]')}" if rest else name)
    return frozenset(found)


def _with_needs(entry: Entry, entries: Mapping[str, Entry]) -> Entry:
    """What is in the stack of what it refers to; what is not has to be on the host."""
    needs: dict[str, str] = {}
    for key, condition in _references(entry, entries):
        other = entries.get(key)
        if other is None or other.absent or key == entry.key:
            continue
        needs[key] = max(needs.get(key, MADE), condition, key=_BY_STRENGTH.index)
    return replace(entry, needs=needs)


def _references(entry: Entry, entries: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    if entry.absent:
        return
    if entry.kind == "container":
        yield from _of_container(entry, entries)
    elif entry.kind == "image":
        yield from _of_image(entry)
    elif entry.kind == "link":
        for end in entry.params.get("ends") or ():
            if isinstance(end, Mapping) and end.get("container"):
                yield f"container/{end['container']}", MADE
            if isinstance(end, Mapping) and end.get("bridge"):
                yield from ((key, MADE) for key in _networks_of_bridge(end["bridge"], entries))
    elif entry.kind == "overlay":
        paths = [*(entry.params.get("lowerdirs") or ()), entry.params.get("upperdir"), entry.params.get("path")]
        yield from _overlays_at(paths, entry, entries)


def _of_container(entry: Entry, entries: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    params = entry.params
    if isinstance(params.get("image"), str):
        yield f"image/{entry_name(BY_NAME['image'], params['image'], f'{entry.option}.image')}", MADE
    for attachment in params.get("networks") or ():
        if isinstance(attachment, Mapping):
            yield f"network/{attachment.get('name')}", MADE
    for source in (params.get("namespaces") or {}).values():
        if isinstance(source, str) and source.startswith("container:"):
            yield f"container/{source.partition(':')[2]}", STARTED
    sources = [mount.get("source") for mount in params.get("mounts") or () if isinstance(mount, Mapping)]
    yield from ((f"file/{source}", MADE) for source in sources if f"file/{source}" in entries)
    yield from _overlays_at(sources, entry, entries)
    for name, condition in dependencies(params.get("depends_on"), f"{entry.option}.depends_on").items():
        if f"container/{name}" not in entries:
            raise OptionError(f"{entry.option}.depends_on", name, "no container of that name is declared here")
        yield f"container/{name}", condition


def dependencies(given: Any, option: str) -> dict[str, str]:
    """``depends_on`` as a list of names, or as a dictionary with a condition each. Raises OptionError."""
    if given is None:
        return {}
    if isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given):
        return dict.fromkeys(given, STARTED)
    if not isinstance(given, Mapping):
        raise OptionError(option, given, "write a list of names, or NAME: {condition: started, healthy or completed}")
    found = {}
    for name, value in given.items():
        condition = (value or {}).get("condition", STARTED) if isinstance(value, (Mapping, type(None))) else value
        if condition not in _CONDITIONS:
            raise OptionError(f"{option}.{name}", condition, f"the condition is {', '.join(_CONDITIONS)}")
        found[str(name)] = str(condition)
    return found


def _of_image(entry: Entry) -> Iterator[tuple[str, str]]:
    """What it is built on or taken from, where that is declared beside it."""
    params = entry.params
    build = params.get("build")
    for base in (params.get("image"), build.get("base") if isinstance(build, Mapping) else None):
        if isinstance(base, str) and base:
            yield f"image/{entry_name(BY_NAME['image'], base, entry.option)}", MADE
    if isinstance(params.get("container"), Mapping):
        yield f"container/{params['container'].get('name')}", MADE


def _networks_of_bridge(bridge: str, entries: Mapping[str, Entry]) -> Iterator[str]:
    for key, other in entries.items():
        if other.kind == "network" and bridge in (other.params.get("bridge"), other.name):
            yield key


def _overlays_at(paths: Iterable[Any], entry: Entry, entries: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    """The overlays that are mounted at, or above, one of these paths."""
    places = [posixpath.normpath(path) for path in paths if isinstance(path, str) and path.startswith("/")]
    for key, other in entries.items():
        if other.kind == "overlay" and key != entry.key:
            inside = other.name.rstrip("/") + "/"
            if any(place == other.name or place.startswith(inside) for place in places):
                yield key, MADE
