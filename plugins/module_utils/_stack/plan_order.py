# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order the objects of a stack are made and removed, and what removes those that it no longer names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._core.errors import OptionError
from .records import BY_NAME, KINDS, Entry, Recorded, Stack

#: Removed in the opposite order of what they are made in.
_LAST = {kind.name: -index for index, kind in enumerate(KINDS)}
#: Removed before anything is made, as what they hold (addresses, ports, names) may be wanted by others.
_FIRST = ("link", "container")


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """First what goes and holds something, then what is made, after what it needs, then what else goes.

    Raises OptionError for a circle.
    """
    entries = list(entries)
    # Of one kind the last first: what lies in another (a cgroup, a mount) goes before it.
    going = sorted((entry for entry in reversed(entries) if entry.absent), key=lambda entry: _LAST[entry.kind])
    first = [entry for entry in going if entry.kind in _FIRST]
    first.sort(key=lambda entry: _FIRST.index(entry.kind))
    made = _by_needs([entry for entry in entries if not entry.absent])
    return [*first, *made, *(entry for entry in going if entry.kind not in _FIRST)]


def _by_needs(entries: list[Entry]) -> list[Entry]:
    """Each after what it needs, else as they were declared."""
    by_key = {entry.key: entry for entry in entries}
    found: dict[str, Entry] = {}

    def visit(entry: Entry, above: tuple[str, ...]) -> None:
        if entry.key in found:
            return
        if entry.key in above:
            circle = [*above[above.index(entry.key) :], entry.key]
            raise OptionError(entry.option, entry.name, f"needs itself: {' -> '.join(circle)}")
        for key in entry.needs:
            if key in by_key:
                visit(by_key[key], (*above, entry.key))
        found[entry.key] = entry

    for entry in entries:
        visit(entry, ())
    return list(found.values())


def selected(stack: Stack, recorded: Recorded) -> tuple[list[Entry], list[str]]:
    """What this run is about, and the keys of what the stack made before and does not name any more."""
    entries = [entry for entry in stack.entries if stack.concerns(entry.key)]
    named = {entry.key for entry in stack.entries}
    left = [key for key in recorded.objects if key not in named and stack.concerns(key)]
    if stack.absent:
        entries = [removal(entry.key, _to_remove(entry), entry.option) for entry in entries]
    if stack.prune or stack.absent:
        return [*entries, *(removal(key, recorded.objects[key]) for key in left)], []
    return entries, left


def others(stack: Stack) -> list[Entry]:
    """What is declared beside the part that this run is about: tasks before it would have made that."""
    return [entry for entry in stack.entries if not (stack.concerns(entry.key) or stack.absent or entry.absent)]


def removal(key: str, params: Mapping[str, Any], option: str = "") -> Entry:
    """The entry that removes an object."""
    kind, _slash, name = key.partition("/")
    return Entry(kind, name, {**params, "state": "absent"}, option)


def _to_remove(entry: Entry) -> Mapping[str, Any]:
    """The options of an entry with which it is removed: of a container, nothing but its name and what goes with it."""
    if entry.kind in ("link", "overlay", "cgroup"):
        return {name: value for name, value in entry.params.items() if name != "depends_on"}
    if entry.kind == "file":
        return {"path": entry.params["path"]}
    also = {"purge_volumes": entry.params["purge_volumes"]} if entry.params.get("purge_volumes") else {}
    return {BY_NAME[entry.kind].key: entry.params[BY_NAME[entry.kind].key], **also}


def recorded_after(stack: Stack, before: Recorded, gone: Iterable[str]) -> Recorded:
    """The stack's record after a run in which these keys went."""
    named = {entry.key: _to_remove(entry) for entry in stack.entries if not entry.absent and not stack.absent}
    of_run = {key: params for key, params in named.items() if stack.concerns(key)}
    kept = {**before.objects, **of_run}
    return Recorded(stack.name, {key: kept[key] for key in sorted(kept) if key not in set(gone)})
