# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sysctls of the whole host that networks need: the original value is kept until the last user has gone.

The record is /var/lib/barekernel/sysctls.json. It is good for one boot only, as the next boot sets every value anew.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .._core.files import RemoveFile, WriteFile
from .._core.operation import Operation
from .._kernel import record_file
from .._kernel.sysctl_carried import carried

if TYPE_CHECKING:
    from .._core.observe_world import World


@dataclass(frozen=True)
class Held:
    """One sysctl that we changed: what it was, what we wrote, and who needs it.

    ``along`` are the originals of those that the kernel overwrites with it and would not put back by itself.
    """

    original: str
    value: str
    users: tuple[str, ...]
    along: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HostSysctls:
    """The record at ``path`` and the live values; ``held`` is empty when the record is of another boot.

    ``carried`` names what the kernel overwrites together with a sysctl that is yet to be changed.
    """

    path: str
    boot_id: str
    recorded: bool
    held: Mapping[str, Held] = field(default_factory=dict)
    live: Mapping[str, str | None] = field(default_factory=dict)
    carried: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: What a newer version of the collection has recorded besides, in this boot.
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recorded_names(self) -> tuple[str, ...]:
        """Every sysctl that the record names."""
        return tuple(name for switch, entry in self.held.items() for name in (switch, *entry.along))


@dataclass(frozen=True)
class WriteSysctl(Operation):
    """Set a kernel parameter."""

    name: str
    value: str
    why: str = ""

    def describe(self) -> str:
        return f"set sysctl {self.name} to {self.value}" + (f" ({self.why})" if self.why else "")

    def execute(self, kernel: Any) -> None:
        kernel.sysctl.write(self.name, self.value)

    def expect(self, world: World) -> None:
        world.expect_sysctl(self.name, self.value)


def decode(path: str, boot_id: str, plain: Any, live: Mapping[str, str | None]) -> HostSysctls:
    """The record as read from its file (None where there is none), with the live values of all it names and more."""
    if plain is None or plain.get("boot_id") != boot_id:
        return HostSysctls(path, boot_id, plain is not None, live=live)
    held = {
        name: Held(entry["original"], entry["value"], tuple(entry["users"]), entry.get("along", {}))
        for name, entry in plain["sysctls"].items()
    }
    return HostSysctls(path, boot_id, True, held, live, others=record_file.others(plain, ("boot_id", "sysctls")))


def hold(state: HostSysctls, wanted: Mapping[str, str], user: str, keep: Collection[str] = ()) -> tuple[Operation, ...]:
    """Have these values, in this order, and be their user; stop being a user of all others. Nothing wanted: release.
    Those to ``keep`` are left as they are when nobody uses them any more.

    What already was so before us is not recorded: it is not ours to take back. What nobody uses any more gets its
    original value, unless someone else has changed it since, in the opposite order of acquiring: forwarding goes
    before what protects from it. What the kernel overwrote along with it follows. The record is written between the
    two, so that a run killed at any point neither forgets an original nor restores it twice.
    """
    held, restores = _released(state, wanted, user, keep)
    writes: list[Operation] = []
    for name, value in wanted.items():
        before, known = state.live.get(name), held.get(name)
        along = {} if before in (None, value) else _along(state, name)
        if known is not None:
            users = tuple(sorted({*known.users, user}))
            held[name] = Held(known.original, value, users, {**along, **known.along})
        elif before is not None and before != value:
            held[name] = Held(before, value, (user,), along)
        if before != value:
            writes.append(WriteSysctl(name, value))
    return (*restores, *_record(state, held), *writes)


def last_used(state: HostSysctls, user: str) -> tuple[str, ...]:
    """What would get its original value if that user went."""
    restorable = (n for n, h in state.held.items() if state.live.get(n) == h.value != h.original)
    return tuple(name for name in restorable if state.held[name].users == (user,))


def _released(
    state: HostSysctls, wanted: Mapping[str, str], user: str, keep: Collection[str]
) -> tuple[dict[str, Held], list[Operation]]:
    held: dict[str, Held] = dict(state.held)
    restores: list[Operation] = []
    for name, entry in reversed(tuple(state.held.items())):
        users = tuple(u for u in entry.users if u != user)
        if name in wanted or users == entry.users:
            continue
        if users:
            held[name] = replace(entry, users=users)
            continue
        del held[name]
        if name not in keep:
            restores += _restored(state, name, entry)
    return held, restores


def _along(state: HostSysctls, switch: str) -> dict[str, str]:
    """What differs now from what the kernel will make of it when the switch goes back to the value that it has now."""
    live = {name: state.live.get(name) for name in state.carried.get(switch, ())}
    back = carried(switch, state.live[switch] or "", live)
    return {name: value for name, value in live.items() if value is not None and value != back.get(name)}


def _restored(state: HostSysctls, name: str, entry: Held) -> list[Operation]:
    """The original, unless someone else has changed it since; then what went along with it, on the same condition.

    A run that was killed between the two has left the switch as it was before us: what goes along still has to follow.
    """
    now = state.live.get(name)
    if now is None or now not in (entry.value, entry.original):
        return []
    writes: list[Operation] = [WriteSysctl(name, entry.original, "as it was")] if now != entry.original else []
    untouched = (n for n in entry.along if state.live.get(n) == carried(name, now, (n,)).get(n))
    return writes + [WriteSysctl(n, entry.along[n], "as it was") for n in untouched]


def encode(boot_id: str, held: Mapping[str, Held], others: Mapping[str, Any]) -> str:
    """The record's text; the order of the sysctls is that in which they were set."""
    sysctls = {n: {**vars(h), "users": list(h.users), "along": dict(h.along)} for n, h in held.items()}
    record = {**others, record_file.VERSION: record_file.FIRST, "boot_id": boot_id, "sysctls": sysctls}
    return json.dumps(record, indent=1) + "\n"


def _record(state: HostSysctls, held: Mapping[str, Held]) -> tuple[Operation, ...]:
    if not held:
        return (RemoveFile(state.path),) if state.recorded else ()
    if held == state.held:
        return ()
    return (WriteFile(state.path, encode(state.boot_id, held, state.others), why="the sysctls as they were"),)
