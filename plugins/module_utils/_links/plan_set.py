# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task of netns_veth has set and a later one declares no longer: kernel parameters and impairments go back.

The record is /run/barekernel/veth/NAME.json, and lives as long as the namespaces do: until the next boot.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._core.files import MakeDirectory, RemoveFile, WriteFile
from .._core.operation import Operation
from .._core.units import RemoveIfEmpty
from .._kernel import locations, record_file
from .._kernel.namespaces import NetnsRef
from .._kernel.sysctl_carried import carried
from .._kernel.sysctl_names import path_of
from .netns import NetnsDesired
from .records import VethDesired
from .sysctl_values import same_value
from .sysctls import SetSysctls, dotted, going_back, interface_of

Key = tuple[NetnsRef, str]
_WHY = "declared no longer"


@dataclass(frozen=True)
class Was:
    """A parameter that was set: what was written, and what it was before; None where its place was yet to be made."""

    value: str
    before: str | None = None


@dataclass(frozen=True)
class SetBefore:
    """The record (empty where there is none), and of what it names and is declared no longer the live values and those
    of new namespaces and interfaces. ``impaired`` are the numbers of the ends that were given an impairment. ``along``
    are live values of what the kernel overwrites with parameters that are to be set in namespaces that exist."""

    path: str
    recorded: bool = False
    has_directory: bool = False
    sysctls: Mapping[Key, Was] = field(default_factory=dict)
    impaired: frozenset[int] = frozenset()
    live: Mapping[Key, str | None] = field(default_factory=dict)
    fresh: Mapping[Key, str | None] = field(default_factory=dict)
    along: Mapping[Key, Mapping[str, str | None]] = field(default_factory=dict)
    #: What a newer version of the collection has recorded besides.
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def back(self) -> dict[Key, str]:
        """What goes back and to which value, in the order of writing: nothing that is gone, or that somebody else has
        changed since."""
        found: dict[Key, str] = {}
        for ref in dict.fromkeys(ref for ref, _name in self.live):
            live = {name: value for (place, name), value in self.live.items() if place == ref}
            goes = {name: self._before(ref, name) for name, value in live.items() if self._is_ours(ref, name, value)}
            news = [name for name in goes if self.sysctls[ref, name].before is None]
            found.update({(ref, name): value for name, value in going_back(goes, live, news).items()})
        return found

    def _before(self, ref: NetnsRef, name: str) -> str | None:
        was = self.sysctls[ref, name].before
        return was if was is not None else self.fresh.get((ref, name))

    def _is_ours(self, ref: NetnsRef, name: str, live: str | None) -> bool:
        return live is not None and same_value(name, self.sysctls[ref, name].value, live)


def record_path(name: str) -> str:
    """Where the record of that task is."""
    return f"{locations.RUN}/veth/{name}.json"


def declared_sysctls(namespaces: Iterable[NetnsDesired], veth: VethDesired | None) -> dict[Key, str]:
    """Every parameter that is declared, by namespace and name."""
    found = {(ns.ref, name): value for ns in namespaces for name, value in ns.sysctls}
    for end in veth.ends if veth is not None else ():
        found.update({(end.netns, name): value for name, value in end.sysctls})
    return found


def dropped(before: SetBefore, wanted: Mapping[Key, str]) -> tuple[Key, ...]:
    """What the record names and nothing that is declared sets, or overwrites, any more."""
    return tuple(key for key in before.sysctls if key not in wanted and _overwritten(key, wanted) is None)


def _overwritten(key: Key, wanted: Mapping[Key, str]) -> str | None:
    """What a declared parameter makes of that one; None where none does."""
    found = [carried(name, value, (key[1],)).get(key[1]) for (ref, name), value in wanted.items() if ref == key[0]]
    return next(filter(None, found), None)


def without_dropped(veth: VethDesired, before: SetBefore) -> VethDesired:
    """The pair with no impairment where one was declared and is no longer."""
    first, second = (
        replace(end, impaired=True, qdisc=None) if n in before.impaired and not end.impaired else end
        for n, end in enumerate(veth.ends)
    )
    return replace(veth, ends=(first, second))


def plan_set(
    wanted: Mapping[Key, str], live: Mapping[Key, str | None], impaired: frozenset[int], before: SetBefore
) -> list[Operation]:
    """Put back what is declared no longer, then record what is going to be set; ``live`` are the values of the wanted
    ones, "" where their place is yet to be made. What is so already is not ours to put back, and not recorded."""
    held = _held(wanted, live, before)
    record: list[Operation] = []
    if held or impaired:
        if (held, impaired) != (before.sysctls, before.impaired):
            directory = before.path.rpartition("/")[0]
            record += [] if before.has_directory else [MakeDirectory(directory, 0o700)]
            text = _encode(held, impaired, before.others)
            record.append(WriteFile(before.path, text, 0o600, why="what goes back once undeclared"))
    elif before.recorded:
        record += plan_forget(before)
    return [*_put_back(before.back), *record]


def _held(wanted: Mapping[Key, str], live: Mapping[Key, str | None], before: SetBefore) -> dict[Key, Was]:
    held: dict[Key, Was] = {}
    for key, value in wanted.items():
        now = live.get(key)
        if key in before.sysctls:
            held[key] = Was(value, before.sysctls[key].before)
        elif not same_value(key[1], value, now):
            held[key] = Was(value, now or None)
    declared = {(ref, path_of(name)) for ref, name in wanted}
    overwritten = {key: was for key, was in before.sysctls.items() if key not in wanted}
    for ref, switch in before.along:
        now = live.get((ref, switch))
        for name, seen in before.along[ref, switch].items() if now else ():
            # What comes back by itself with the switch needs no record.
            if seen is not None and seen != carried(switch, now or "", (name,)).get(name):
                overwritten.setdefault((ref, name), Was("", seen))
    for (ref, name), was in overwritten.items():
        becomes = _overwritten((ref, name), wanted)
        if becomes is not None and (ref, path_of(name)) not in declared:
            held[ref, name] = Was(becomes, was.before)
    return held


def plan_set_absent(before: SetBefore, removed: Iterable[NetnsRef], interfaces: Iterable[str]) -> list[Operation]:
    """Put back what stays when the pair goes, then forget it; ``removed`` and ``interfaces`` go by themselves."""
    gone, links = set(removed), set(interfaces)
    stays = {k: v for k, v in before.back.items() if k[0] not in gone and interface_of(k[1]) not in links}
    return [*_put_back(stays), *(plan_forget(before) if before.recorded else [])]


def plan_forget(before: SetBefore) -> list[Operation]:
    """Remove the record."""
    return [RemoveFile(before.path), RemoveIfEmpty(before.path.rpartition("/")[0])]


def decode(path: str, plain: Any) -> SetBefore:
    """The record as read from its file, None where there is none."""
    if plain is None:
        return SetBefore(path)
    sysctls = {(NetnsRef(**e["netns"]), dotted(e["name"])): Was(e["value"], e["before"]) for e in plain["sysctls"]}
    others = record_file.others(plain, ("sysctls", "impaired"))
    return SetBefore(path, True, sysctls=sysctls, impaired=frozenset(plain["impaired"]), others=others)


def _encode(held: Mapping[Key, Was], impaired: frozenset[int], others: Mapping[str, Any]) -> str:
    sysctls = [{"netns": vars(ref), "name": name, **vars(was)} for (ref, name), was in held.items()]
    record = {record_file.VERSION: record_file.FIRST, "sysctls": sysctls, "impaired": sorted(impaired)}
    return json.dumps({**others, **record}, indent=1) + "\n"


def _put_back(values: Mapping[Key, str]) -> list[Operation]:
    places = dict.fromkeys(ref for ref, _name in values)
    return [
        SetSysctls(place, tuple((name, value) for (ref, name), value in values.items() if ref == place), _WHY)
        for place in places
    ]
