# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a running container is still where it was started to be: the other one whose namespaces it shares may have
been started anew, and somebody may have removed the name of its own (`ip netns delete`), whose process keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._core.observe_world import World
from .._kernel.namespaces import NamespaceId, identity, identity_of_process
from .._runtime.supervise.control import Supervised
from .observed import Neighbour
from .records import netns_name


def strayed(
    supervised: Supervised, documents: Mapping[str, Any], neighbours: Iterable[Neighbour], world: World
) -> tuple[str, ...]:
    """Kinds of namespaces that it is in, and no other one would be: not of a container that does not run now.

    Raises KernelError.
    """
    if not supervised.running or supervised.pid is None:
        return ()
    found = []
    for kind, there, own in _joined(supervised.name, documents, {n.container.name: n for n in neighbours}, world):
        now = _of_process(supervised.pid, supervised.start_time, kind, world)
        # One of its own is made anew where it is missing; without another's it would not start.
        if now not in (None, there) and (there is not None or own):
            found.append(kind)
    return tuple(found)


def _joined(
    name: str, documents: Mapping[str, Any], neighbours: Mapping[str, Neighbour], world: World
) -> Iterator[tuple[str, NamespaceId | None, bool]]:
    """Each kind, its namespace now (None where there is none), and whether that is one of its own."""
    for kind, other in ((documents["launch"] or {}).get("namespaces") or {}).items():
        neighbour = neighbours.get(other)
        if neighbour is not None and neighbour.pid is not None:
            yield kind, _of_process(neighbour.pid, neighbour.start_time, kind, world), False
    for entry in ((documents["config"] or {}).get("linux") or {}).get("namespaces") or ():
        if entry.get("path"):
            yield entry["type"], identity(entry["path"]), entry["path"].endswith("/" + netns_name(name))


def _of_process(pid: int, started: int | None, kind: str, world: World) -> NamespaceId | None:
    if not pid:
        return NamespaceId(0, 0)  # it is yet to be started, and with it the namespace is another one
    return world.read(identity_of_process, pid, started, "net" if kind == "network" else kind)
