# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a running container still shares what it was started to share: the other one may have been started anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._kernel.namespaces import identity
from .._plan.container_observed import Neighbour
from .._runtime.control import Supervised


def strayed(supervised: Supervised, documents: Mapping[str, Any], neighbours: Iterable[Neighbour]) -> tuple[str, ...]:
    """Kinds of those it does not share any more; not of a container that does not run now. Raises KernelError."""
    if not supervised.running or supervised.pid is None:
        return ()
    return tuple(
        kind
        for kind, path in _joined(supervised.name, documents, {n.container.name: n.pid for n in neighbours})
        if identity(path) not in (None, identity(_of_process(supervised.pid, kind)))
    )


def _joined(name: str, documents: Mapping[str, Any], pids: Mapping[str, int | None]) -> Iterator[tuple[str, str]]:
    """Each kind and where its namespace is now."""
    for kind, other in ((documents["launch"] or {}).get("namespaces") or {}).items():
        pid = pids.get(other)
        if pid is not None:
            yield kind, _of_process(pid, kind)
    for entry in ((documents["config"] or {}).get("linux") or {}).get("namespaces") or ():
        path = entry.get("path") or ""
        if path and not path.endswith(f"/bk-{name}"):
            yield entry["type"], path


def _of_process(pid: int, kind: str) -> str:
    return f"/proc/{pid}/ns/{'net' if kind == 'network' else kind}"
