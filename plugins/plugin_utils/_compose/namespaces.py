# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``network_mode``, ``pid``, ``ipc``, ``uts``, ``cgroup`` and ``userns_mode`` of a service, as ``namespaces``.

Compose Specification, services, under these names.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import Place
from .options import Options
from .reading import Reader
from .values import Table

#: Key -> the namespace, and the words that mean one of the container's own.
_KEYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "network_mode": ("network", ("bridge", "default", "none", "private")),
    "pid": ("pid", ("private",)),
    "ipc": ("ipc", ("private", "shareable")),
    "uts": ("uts", ("private",)),
    "cgroup": ("cgroup", ("private",)),
    "userns_mode": ("user", ("private",)),
}
_SHARED = ("network_mode", "pid", "ipc")


def set_namespaces(
    table: Table, options: Options, reader: Reader, first: Callable[[str, Place], str | None]
) -> list[tuple[str, Place]]:
    """Set ``namespaces`` of a container; the services whose namespaces it shares. ``first`` is the first container of a
    service."""
    shared: list[tuple[str, Place]] = []
    for key, (namespace, private) in _KEYS.items():
        value = table.get(key)
        given = reader.text(value)
        if value is None or not given or given in private:
            continue
        kind, _colon, other = given.partition(":")
        if given == "host":
            options.named("namespaces", namespace, "host", value.place)
        elif kind == "service" and other and key in _SHARED:
            container = first(other, value.place)
            if container is not None:
                options.named("namespaces", namespace, f"container:{container}", value.place)
                shared.append((other, value.place))
        elif kind == "container" and other and key in _SHARED:
            options.named("namespaces", namespace, given, value.place)
        else:
            words = [*private, "host", *(["service:NAME", "container:NAME"] if key in _SHARED else [])]
            reader.problems.wrong(value.place, f"must be one of {', '.join(words)}", given)
    _user(table, options, reader)
    return shared


def _user(table: Table, options: Options, reader: Reader) -> None:
    """Who shares processes or IPC, but no network, with others cannot have a user namespace of its own."""
    chosen = options.values.get("namespaces") or {}
    if "user" in chosen:
        return
    for key in ("pid", "ipc"):
        source, value = chosen.get(key), table.get(key)
        if source is None or value is None or (key == "ipc" and source == "host"):
            continue
        if source == "host" or chosen.get("network") not in (source, "host"):
            options.named("namespaces", "user", "host", value.place)
            reader.problems.warn(value.place, "takes the container's own user namespace away: userns_mode is host")
            return


def attached(table: Table, reader: Reader) -> bool:
    """Whether a service is on networks; one with another network namespace, or none, cannot name any."""
    value = table.get("network_mode")
    mode = reader.text(value)
    if value is None or mode in (None, "", "bridge", "default"):
        return True
    if mode not in ("host", "none", "private") and not str(mode).startswith(("service:", "container:")):
        return False  # which set_namespaces() tells
    for key in ("networks", "ports", "mac_address"):
        other = table.get(key)
        if other is not None:
            reader.problems.wrong(other.place, f"cannot be together with network_mode: {mode}; leave one of them out")
    return False
