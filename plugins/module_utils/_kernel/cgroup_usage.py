# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cgroup uses and what has happened to it: usage, events, pressure. Read only."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import cgroup

#: Files that are settings, so that what they say are limits.
_LIMITS = re.compile(
    r"memory\.(min|low|high|max|oom\.group|swap\.(max|high)|zswap\.(max|writeback))|cpu\.(max|max\.burst|weight|idle)"
    r"|cpuset\.(cpus|mems|cpus\.(exclusive|partition))|io\.(max|weight|latency|bfq\.weight|prio\.class)|pids\.max"
    r"|hugetlb\.\w+\.(rsvd\.)?max|rdma\.max|misc\.max|dmem\.(min|low|max)|cgroup\.max\.(depth|descendants)"
)
_USAGE = re.compile(
    r"(memory|pids|misc|rdma|hugetlb)\.([\w.]+\.)?(current|peak)|cpu\.stat|io\.stat|cgroup\.stat"
    r"|cpuset\.\w+\.effective"
)
_EVENTS = re.compile(r"cgroup\.events|(memory|pids|misc|hugetlb)\.([\w.]+\.)?events")
_PRESSURE = re.compile(r"(cpu|io|memory|irq)\.pressure")


@dataclass(frozen=True)
class Pressure:
    """Pressure stall information: shares of the last 10, 60 and 300 seconds in percent, total in microseconds."""

    avg10: float
    avg60: float
    avg300: float
    total: int


@dataclass(frozen=True)
class CgroupUsage:
    """Files by name: numbers, or numbers by key where a file has a line a key; pressure by "some" and "full"."""

    limits: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, object] = field(default_factory=dict)
    events: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pressure: Mapping[str, Mapping[str, Pressure]] = field(default_factory=dict)


def observe_usage(path: str) -> CgroupUsage:
    """Everything a cgroup tells about itself; a file that vanishes meanwhile is left out. Raises KernelError."""
    pressures = {name: parse_pressure(text) for name, text in _texts(path, _PRESSURE).items()}
    return CgroupUsage(
        limits=settings(path),
        usage={
            name: text if name.startswith("cpuset") else parse_usage(text)
            for name, text in _texts(path, _USAGE).items()
        },
        events={name: parse_flat(text) for name, text in _texts(path, _EVENTS).items()},
        pressure={name.partition(".")[0]: lines for name, lines in pressures.items() if lines},
    )


def settings(path: str) -> dict[str, str]:
    """Every setting of a cgroup by file name, as the kernel shows it. Raises KernelError."""
    return _texts(path, _LIMITS)


def _texts(path: str, pattern: re.Pattern[str]) -> dict[str, str]:
    try:
        names = sorted(entry.name for entry in os.scandir(path) if pattern.fullmatch(entry.name))
    except FileNotFoundError:
        return {}
    found = {name: cgroup.read(path, name) for name in names}
    return {name: text for name, text in found.items() if text is not None}


def parse_pressure(text: str) -> dict[str, Pressure]:
    """ "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full ..." (Documentation/accounting/psi.rst)."""
    lines = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = dict(pair.partition("=")[::2] for pair in pairs)
        ten, sixty, three_hundred = (float(values[name]) for name in ("avg10", "avg60", "avg300"))
        lines[kind] = Pressure(ten, sixty, three_hundred, int(values["total"]))
    return lines


def parse_flat(text: str) -> dict[str, int]:
    """ "KEY NUMBER" lines."""
    return {name: int(value) for name, _space, value in (line.partition(" ") for line in text.splitlines())}


def parse_usage(text: str) -> object:
    """A number; or numbers by key; or, for io.stat and rdma, numbers by key and name; text where it is neither."""
    lines = [line.split() for line in text.splitlines()]
    if len(lines) == 1 and len(lines[0]) == 1 and lines[0][0].isdigit():
        return int(lines[0][0])
    if lines and all(len(words) == 2 and words[1].isdigit() for words in lines):
        return {words[0]: int(words[1]) for words in lines}
    if lines and all(len(words) > 1 and all("=" in word for word in words[1:]) for words in lines):
        return {words[0]: {k: _number(v) for k, v in (w.split("=", 1) for w in words[1:])} for words in lines}
    return text


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text
