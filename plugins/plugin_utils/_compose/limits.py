# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of a service, as ``limits`` and ``rlimits`` of ns_container.

Compose Specification, services, "cpus" to "pids_limit", "blkio_config", "ulimits"; deploy, "resources".
"""

from __future__ import annotations

import re
from typing import Any

from . import quantities
from .errors import Place
from .keys import BLKIO, BLKIO_RATE, BLKIO_WEIGHT, LIMITS, RESERVATIONS, RESOURCES, ULIMIT
from .options import Options
from .reading import Reader
from .values import Table, Value, is_null

_MOST_PIDS = 4_194_304
_RATES = {
    "device_read_bps": "rbps",
    "device_write_bps": "wbps",
    "device_read_iops": "riops",
    "device_write_iops": "wiops",
}
_NO_LIMIT = "max"
_CPUSET = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*")


class _Limits:
    """Collects ``limits``; a limit that is given twice must be the same."""

    def __init__(self, options: Options, reader: Reader) -> None:
        self._options, self._reader = options, reader
        self.found: dict[str, Any] = {}

    def set(self, option: str, value: Any, at: Value | None) -> None:
        if value is None or at is None:
            return
        before = self.found.get(option)
        if before is not None and before != value:
            self._reader.problems.wrong(at.place, f"is given twice; the other value is {before}", value)
        self.found[option] = value
        self._options.note(f"limits.{option}", at.place)


def set_limits(table: Table, deploy: Table, options: Options, reader: Reader) -> None:
    """Everything that becomes a control file of the cgroup, and resource limits of the process."""
    limits = _Limits(options, reader)
    _memory(table, limits, reader)
    _cpu(table, limits, reader)
    limits.set("pids", _pids(table.get("pids_limit"), reader), table.get("pids_limit"))
    _deployed(reader.table(deploy.get("resources"), RESOURCES), limits, reader)
    _swap(table.get("memswap_limit"), limits, reader)
    _blkio(reader.table(table.get("blkio_config"), BLKIO), limits, reader)
    if limits.found:
        options.values["limits"] = limits.found
    for name, value in reader.entries(table.get("ulimits")):
        limit = _ulimit(value, reader)
        if limit is not None:
            options.named("rlimits", name, limit, value.place)


def _memory(table: Table, limits: _Limits, reader: Reader) -> None:
    limits.set("memory", _bytes(table.get("mem_limit"), reader), table.get("mem_limit"))
    # What an engine makes of a reservation with cgroup v2.
    limits.set("memory_low", _bytes(table.get("mem_reservation"), reader, "0"), table.get("mem_reservation"))


def _bytes(value: Value | None, reader: Reader, zero: str = _NO_LIMIT) -> str | None:
    """Bytes as text; Compose takes 0 for not set."""
    size = reader.size(value)
    return None if size is None else str(size) if size else zero


def _swap(value: Value | None, limits: _Limits, reader: Reader) -> None:
    """Compose counts memory and swap together, cgroup v2 swap alone. As in Compose, 0 is not set and -1 no limit."""
    text = reader.text(value)
    if value is None or text is None:
        return
    if text == "-1":
        limits.set("swap", _NO_LIMIT, value)
        return
    both, memory = reader.size(value), limits.found.get("memory", _NO_LIMIT)
    if not both:
        return
    if memory == _NO_LIMIT:
        reader.problems.wrong(value.place, "is memory and swap together, so it needs mem_limit", text)
    elif both < int(memory):
        reader.problems.wrong(value.place, f"is memory and swap together, so it is at least mem_limit ({memory})", text)
    else:
        limits.set("swap", str(both - int(memory)), value)


def _cpu(table: Table, limits: _Limits, reader: Reader) -> None:
    limits.set("cpu", reader.cpus(table.get("cpus")), table.get("cpus"))
    quota = reader.integer(table.get("cpu_quota"), -1, 1 << 40)
    period = reader.integer(table.get("cpu_period"), 0, 1_000_000)
    if quota and quota > 0:
        limits.set("cpu", f"{quota}/{period or 100_000}", table.get("cpu_quota"))
    elif period:
        reader.problems.wrong(table.entries["cpu_period"].place, "has an effect with cpu_quota only; set cpus", period)
    shares = reader.integer(table.get("cpu_shares"), 0, 1 << 20)
    if shares:
        limits.set("cpu_weight", quantities.weight_of_shares(shares), table.get("cpu_shares"))
    cpuset = reader.optional(table.get("cpuset"))
    if cpuset is not None and not _CPUSET.fullmatch(cpuset):
        reader.problems.wrong(table.entries["cpuset"].place, "write numbers and ranges of CPUs, such as 0-2,7", cpuset)
    limits.set("cpuset", cpuset, table.get("cpuset"))


def _pids(value: Value | None, reader: Reader) -> str | None:
    """As in Compose, -1 and 0 are no limit."""
    found = reader.integer(value, -1, _MOST_PIDS)
    return None if found is None else str(found) if found > 0 else _NO_LIMIT


def _deployed(resources: Table, limits: _Limits, reader: Reader) -> None:
    """deploy.resources: the same limits once more."""
    most = reader.table(resources.get("limits"), LIMITS)
    limits.set("cpu", reader.cpus(most.get("cpus")), most.get("cpus"))
    limits.set("memory", _bytes(most.get("memory"), reader), most.get("memory"))
    limits.set("pids", _pids(most.get("pids"), reader), most.get("pids"))
    least = reader.table(resources.get("reservations"), RESERVATIONS)
    limits.set("memory_low", _bytes(least.get("memory"), reader, "0"), least.get("memory"))


def _blkio(table: Table, limits: _Limits, reader: Reader) -> None:
    devices: dict[str, dict[str, Any]] = {}
    for key, option in _RATES.items():
        for item in reader.items(table.get(key)):
            entry = reader.table(item, BLKIO_RATE)
            path, rate = reader.filled(entry.get("path")), entry.get("rate")
            number = reader.size(rate) if key.endswith("bps") else reader.integer(rate, 1, (1 << 32) - 1)
            if _whole(item.place, entry, ("path", "rate"), reader) and path and number:
                devices.setdefault(path, {"device": path})[option] = str(number)
    for item in reader.items(table.get("weight_device")):
        entry = reader.table(item, BLKIO_WEIGHT)
        path, weight = reader.filled(entry.get("path")), reader.integer(entry.get("weight"), 10, 1000)
        if _whole(item.place, entry, ("path", "weight"), reader) and path and weight:
            devices.setdefault(path, {"device": path})["weight"] = quantities.weight_of_blkio(weight)
    if devices:
        limits.found["io"] = list(devices.values())
    weight = reader.integer(table.get("weight"), 10, 1000)
    if weight:
        limits.set("io_weight", quantities.weight_of_blkio(weight), table.get("weight"))


def _whole(place: Place, entry: Table, keys: tuple[str, ...], reader: Reader) -> bool:
    missing = [key for key in keys if entry.get(key) is None]
    if missing:
        reader.problems.wrong(place, f"has no {' and no '.join(missing)}")
    return not missing


def _ulimit(value: Value, reader: Reader) -> str | None:
    """One number for both limits, or both by name; -1 is no limit."""
    if is_null(value):
        reader.problems.wrong(value.place, "is empty; write a number, or soft and hard")
        return None
    if not isinstance(value, Table):
        number = reader.integer(value, -1, (1 << 63) - 1)
        return None if number is None else str(number)
    table = reader.table(value, ULIMIT)
    soft, hard = (reader.integer(table.get(key), -1, (1 << 63) - 1) for key in ("soft", "hard"))
    if not _whole(value.place, table, ("soft", "hard"), reader) or soft is None or hard is None:
        return None
    if hard != -1 and (soft == -1 or soft > hard):
        reader.problems.wrong(value.place, f"the soft limit is above the hard limit ({hard})", soft)
        return None
    return f"{soft}:{hard}"
