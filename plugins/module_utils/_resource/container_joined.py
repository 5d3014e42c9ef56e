# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a running container is still where it was started to be: the other one whose namespaces it shares may have
been started anew, and somebody may have removed the name of its own (`ip netns delete`), whose process keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._kernel.namespaces import identity
from .._plan.container_observed import Neighbour
from .._plan.container_spec import netns_name
from .._runtime.control import Supervised


def strayed(supervised: Supervised, documents: Mapping[str, Any], neighbours: Iterable[Neighbour]) -> tuple[str, ...]:
    """Kinds of namespaces that it is in, and no other one would be: not of a container that does not run now.

    Raises KernelError.
    """
    if not supervised.running or supervised.pid is None:
        return ()
    found = []
    for kind, path in _joined(documents, {n.container.name: n.pid for n in neighbours}):
        there, now = identity(path), identity(_of_process(supervised.pid, kind))
        # One of its own is made anew where it is missing; without another's it would not start.
        if now not in (None, there) and (there is not None or path.endswith("/" + netns_name(supervised.name))):
            found.append(kind)
    return tuple(found)


def _joined(documents: Mapping[str, Any], pids: Mapping[str, int | None]) -> Iterator[tuple[str, str]]:
    """Each kind and where its namespace is now."""
    for kind, other in ((documents["launch"] or {}).get("namespaces") or {}).items():
        pid = pids.get(other)
        if pid is not None:
            yield kind, _of_process(pid, kind)
    for entry in ((documents["config"] or {}).get("linux") or {}).get("namespaces") or ():
        if entry.get("path"):
            yield entry["type"], entry["path"]


def _of_process(pid: int, kind: str) -> str:
    return f"/proc/{pid}/ns/{'net' if kind == 'network' else kind}"
