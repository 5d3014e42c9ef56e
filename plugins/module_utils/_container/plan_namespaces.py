# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose namespaces a container has in the end, and whether the kernel lets it live in them. Pure.

container:NAME means what NAME has, which may be the host's or a third container's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.errors import OptionError, Refused
from .._kernel import locations
from .._kernel.errors import absent
from .observed import Host, Neighbour
from .records import NAMESPACES, Container, netns_name

PRIVATE, HOST = "private", "host"
_OTHER = "container:"
#: File systems that show a namespace. Only who has CAP_SYS_ADMIN in the user namespace that owns it may mount them:
#: proc(5), mq_overview(7), cgroup_namespaces(7), user_namespaces(7).
_SHOWN_BY = {"pid": "proc", "ipc": "mqueue", "cgroup": "cgroup2"}


def namespaces_of(container: Container, host: Host, idmap: tuple[int, int] | None) -> dict[str, str]:
    """Each namespace that is not its own: ``host``, or ``container:NAME`` of the one that has it for itself.

    Raises OptionError for a combination that no process could be started with, Refused for a container that is not
    declared.
    """
    neighbours = {neighbour.container.name: neighbour for neighbour in host.neighbours}
    _check_order(container, neighbours)
    found = {kind: _source(container, kind, idmap, neighbours) for kind in NAMESPACES}
    found = {kind: source for kind, source in found.items() if source != PRIVATE}
    _check_owners(container, found, neighbours)
    return found


def name_of(source: str) -> str:
    """NAME of container:NAME, else empty."""
    return source[len(_OTHER) :] if source.startswith(_OTHER) else ""


def kept_files(name: str, namespaces: Mapping[str, str], host: Host) -> dict[str, str]:
    """Those of its namespaces that a file keeps, whether anybody runs in them or not."""
    files = {}
    if namespaces.get("network", PRIVATE) == PRIVATE:
        files["network"] = _kept("network", name)
        if namespaces.get("user", PRIVATE) == PRIVATE:
            files["user"] = _kept("user", name)
    for kind, source in namespaces.items():
        other = name_of(source)
        if other and _is_kept(kind, other, host):
            files[kind] = _kept(kind, other)
    return files


def living(namespaces: Mapping[str, str], host: Host) -> dict[str, str]:
    """Those that only another container's process has, each with that container's name."""
    others = {kind: name_of(source) for kind, source in namespaces.items() if name_of(source)}
    return {kind: other for kind, other in others.items() if not _is_kept(kind, other, host)}


def check_running(container: Container, wanted: Mapping[str, str], host: Host) -> None:
    """Whoever has one of ``wanted`` (see living()) must run before the container can start. Raises Refused."""
    running = {neighbour.container.name for neighbour in host.neighbours if neighbour.pid is not None}
    for kind, name in wanted.items():
        if name not in running:
            declared = container.namespaces.get(kind, _OTHER + name)
            raise Refused(f"namespaces.{kind}: '{declared}': container {name} does not run; start it first")


def _is_kept(kind: str, name: str, host: Host) -> bool:
    """A network namespace is kept by a file, and with it the user namespace that owns it."""
    owns_network = any(
        n.container.name == name and n.container.namespaces.get("network", PRIVATE) == PRIVATE for n in host.neighbours
    )
    return kind == "network" or kind == "user" and owns_network


def _kept(kind: str, name: str) -> str:
    return f"{locations.NETNS if kind == 'network' else locations.USERNS}/{netns_name(name)}"


def _source(container: Container, kind: str, idmap: tuple[int, int] | None, neighbours: Mapping[str, Neighbour]) -> str:
    """Follow container:NAME to where the namespace comes from. There is no circle: see _check_order()."""
    source = container.namespaces.get(kind, PRIVATE)
    if source == PRIVATE:
        return HOST if kind == "user" and idmap is None else PRIVATE
    if not name_of(source):
        return source
    other = _neighbour(kind, source, neighbours)
    had = other.record.get("idmap")
    further = _source(other.container, kind, had, neighbours)
    return source if further == PRIVATE else further


def _neighbour(kind: str, source: str, neighbours: Mapping[str, Neighbour]) -> Neighbour:
    if name_of(source) not in neighbours:
        raise absent(Refused(f"namespaces.{kind}: '{source}': no container {name_of(source)} is declared on this host"))
    return neighbours[name_of(source)]


def _check_order(container: Container, neighbours: Mapping[str, Neighbour]) -> None:
    """No container shares with one that, over however many others, shares with it. Raises OptionError."""
    for kind, source in container.namespaces.items():
        ahead, seen = [name_of(source)], set()
        while ahead:
            name = ahead.pop()
            if name == container.name:
                why = f"shares namespaces with {name} itself, so that neither could be started first"
                raise OptionError(f"namespaces.{kind}", source, f"container {name_of(source)} {why}")
            if name and name not in seen and name in neighbours:
                ahead += map(name_of, neighbours[name].container.namespaces.values())
            seen.add(name)


def _check_owners(container: Container, found: Mapping[str, str], neighbours: Mapping[str, Neighbour]) -> None:
    """The host's root may mount and set up what is in any namespace, others only what is in their own."""
    user = found.get("user", PRIVATE)
    if user == HOST:
        return
    for kind, shown_by in _SHOWN_BY.items():
        source = found.get(kind, PRIVATE)
        if source == PRIVATE or (source == HOST and kind != "pid"):
            continue  # of the host's, the container gets no such mount of its own
        owner = _owner(source, neighbours)
        if owner != user:
            why = f"{_needed(owner)}: a user namespace may mount {shown_by} only of the namespaces that it owns"
            raise OptionError(f"namespaces.{kind}", container.namespaces[kind], why)
    if user != PRIVATE and found.get("network", PRIVATE) == PRIVATE:
        kind, value = _who_asked_for(container)
        why = f"needs namespaces.network: {user} or host too, or namespaces.user: host"
        message = f"{why}: a network namespace of its own would not belong to the user namespace that it shares"
        raise OptionError(f"namespaces.{kind}", value, message)


def _owner(source: str, neighbours: Mapping[str, Neighbour]) -> str:
    """The user namespace in which a namespace was made, as namespaces_of() names it."""
    if source == HOST:
        return HOST
    other = neighbours[name_of(source)]
    owner = _source(other.container, "user", other.record.get("idmap"), neighbours)
    return source if owner == PRIVATE else owner


def _needed(owner: str) -> str:
    if owner == HOST:
        return "needs namespaces.user: host"
    return f"needs namespaces.user: {owner} (and namespaces.network: {owner} or host), or namespaces.user: host"


def _who_asked_for(container: Container) -> tuple[str, Any]:
    """The option by which the container came to another's user namespace, and its value."""
    given = container.params.get("namespaces") or {}
    if given.get("user"):
        return "user", given["user"]
    return next((k, v) for k, v in container.namespaces.items() if k != "user" and v == container.namespaces["user"])
