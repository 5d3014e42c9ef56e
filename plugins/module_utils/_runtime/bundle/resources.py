# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""linux.resources of config.json as cgroup v2 control files. Pure.

config-linux.md, Control groups; where the specification speaks cgroup v1, values are converted as runc and crun do
(https://github.com/containers/crun/blob/main/crun.1.md#cgroup-v2). ``unified`` is taken as it is and wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BundleError
from .checks import integer, obj

_V1_ONLY = {
    "memory": ("kernel", "kernelTCP", "swappiness", "disableOOMKiller", "useHierarchy"),
    "cpu": ("realtimeRuntime", "realtimePeriod"),
    "blockIO": ("leafWeight",),
}
_THROTTLES = {
    "throttleReadBpsDevice": "rbps",
    "throttleWriteBpsDevice": "wbps",
    "throttleReadIOPSDevice": "riops",
    "throttleWriteIOPSDevice": "wiops",
}


def control_files(resources: Mapping[str, Any]) -> dict[str, str]:
    """Control file -> value. Raises BundleError for what cgroup v2 or this runtime cannot do."""
    for group, keys in _V1_ONLY.items():
        for key in keys:
            value = (resources.get(group) or {}).get(key)
            if value:
                raise BundleError(f"linux.resources.{group}.{key}", value, "does not exist in cgroup v2")
    if resources.get("network"):
        raise BundleError("linux.resources.network", resources["network"], "does not exist in cgroup v2")
    written: dict[str, str] = {}
    for group, convert in (("memory", _memory), ("cpu", _cpu), ("pids", _pids), ("blockIO", _block_io)):
        value = resources.get(group)
        if value:
            written.update(convert(obj(f"linux.resources.{group}", value)))
    for limit in resources.get("hugepageLimits") or []:
        written[f"hugetlb.{limit['pageSize']}.max"] = str(integer("linux.resources.hugepageLimits", limit["limit"]))
    if resources.get("rdma"):
        written["rdma.max"] = "\n".join(_rdma(name, limits) for name, limits in sorted(resources["rdma"].items()))
    for name, value in obj("linux.resources.unified", resources.get("unified") or {}).items():
        if "/" in name or name.startswith("."):
            raise BundleError("linux.resources.unified", name, "must be the name of a control file")
        written[str(name)] = str(value)
    return written


def controllers(files: Mapping[str, str]) -> tuple[str, ...]:
    """The controllers that these files belong to; cgroup.* belong to none."""
    return tuple(sorted({name.partition(".")[0] for name in files} - {"cgroup"}))


def _memory(value: Mapping[str, Any]) -> dict[str, str]:
    files = {}
    limit, swap = value.get("limit"), value.get("swap")
    if limit is not None:
        files["memory.max"] = _or_max(limit)
    if value.get("reservation") is not None:
        files["memory.low"] = _or_max(value["reservation"])
    if swap is not None and swap != 0:
        files["memory.swap.max"] = _swap(limit, integer("linux.resources.memory.swap", swap))
    return files


def _swap(limit: Any, swap: int) -> str:
    """In the specification swap is memory and swap together, in cgroup v2 swap alone."""
    if swap == -1:
        return "max"
    if limit is None or limit == -1:
        raise BundleError("linux.resources.memory.swap", swap, "needs a memory limit to be taken from")
    if swap < limit:
        raise BundleError("linux.resources.memory.swap", swap, f"is below the memory limit {limit}, which it includes")
    return str(swap - limit)


def _cpu(value: Mapping[str, Any]) -> dict[str, str]:
    files = {}
    shares, quota, period = value.get("shares"), value.get("quota"), value.get("period")
    if shares:
        files["cpu.weight"] = str(1 + (max(2, min(262144, shares)) - 2) * 9999 // 262142)
    if quota or period:
        files["cpu.max"] = f"{quota if quota and quota > 0 else 'max'} {period or 100000}"
    plain = {"burst": "cpu.max.burst", "idle": "cpu.idle", "cpus": "cpuset.cpus", "mems": "cpuset.mems"}
    for key, name in plain.items():
        if value.get(key) not in (None, ""):
            files[name] = str(value[key])
    return files


def _pids(value: Mapping[str, Any]) -> dict[str, str]:
    limit = integer("linux.resources.pids.limit", value.get("limit"))
    return {"pids.max": str(limit) if limit > 0 else "max"}


def _block_io(value: Mapping[str, Any]) -> dict[str, str]:
    files = {}
    weights = []
    if value.get("weight"):
        weights.append(f"default {_io_weight(value['weight'])}")
    weights += [f"{d['major']}:{d['minor']} {_io_weight(d['weight'])}" for d in value.get("weightDevice") or []]
    if weights:
        files["io.weight"] = "\n".join(weights)
    lines = [
        f"{device['major']}:{device['minor']} {word}={device['rate']}"
        for key, word in _THROTTLES.items()
        for device in value.get(key) or []
    ]
    if lines:
        files["io.max"] = "\n".join(lines)
    return files


def _io_weight(weight: int) -> int:
    """10..1000 of cgroup v1 to 1..10000."""
    return 1 + (weight - 10) * 9999 // 990


def _rdma(name: str, limits: Mapping[str, Any]) -> str:
    words = (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
    return " ".join([name, *(f"{word}={limits[key]}" for key, word in words if limits.get(key) is not None)])


def _or_max(value: Any) -> str:
    number = integer("linux.resources.memory", value)
    return "max" if number == -1 else str(number)
