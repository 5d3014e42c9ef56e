# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option group ``limits``: human units to the values of cgroup v2 control files.

Kernel documentation: Documentation/admin-guide/cgroup-v2.rst, "Controllers".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._core.errors import OptionError
from .._kernel.host_resources import HostResources
from . import limit_values as values

#: A control file's name: a controller (or "cgroup"), a dot, words.
_FILE_NAME = re.compile(r"[a-z]+(?:\.[A-Za-z0-9_]+)+")
#: Files that are not settings: writing them does something, once, or they belong to another option.
_NOT_SETTINGS = {
    "cgroup.procs": "use the option pids",
    "cgroup.threads": "attach whole processes with the option pids",
    "cgroup.freeze": "use the option freeze",
    "cgroup.kill": "use state=absent with kill=true",
    "cgroup.subtree_control": "controllers are enabled as the limits need them",
    "memory.reclaim": "it is an action, not a setting",
    "memory.peak": "it is a measurement, not a setting",
    "memory.swap.peak": "it is a measurement, not a setting",
}
#: The files that options of their own set, beside those of huge pages.
_OPTIONS = {
    "memory.max": "memory",
    "memory.high": "memory_high",
    "memory.low": "memory_low",
    "memory.min": "memory_min",
    "memory.swap.max": "swap",
    "memory.oom.group": "oom_group",
    "cpu.max": "cpu",
    "cpu.weight": "cpu_weight",
    "cpuset.cpus": "cpuset",
    "cpuset.mems": "cpuset_mems",
    "io.max": "io",
    "io.weight": "io_weight",
    "pids.max": "pids",
}
_RATES = ("rbps", "wbps", "riops", "wiops")
#: What a limit is when nobody sets it, where it is not "max".
_DEFAULTS = {
    "memory.low": "0",
    "memory.min": "0",
    "memory.oom.group": "0",
    "cpu.max": f"max {values.PERIOD}",
    "cpu.weight": "100",
    "cpu.max.burst": "0",
    "cpu.idle": "0",
    "cpuset.cpus": "",
    "cpuset.mems": "",
    "cpuset.cpus.exclusive": "",
    "cpuset.cpus.partition": "member",
    "memory.zswap.writeback": "1",
    "io.latency": "",
}


def limits_to_files(limits: Mapping[str, Any], host: HostResources, option: str = "limits") -> dict[str, str]:
    """File name -> value as the kernel will show it. What is unset or None is not mentioned.

    The block devices that ``limits`` names must be in host.devices. Raises OptionError naming "limits.memory" etc.
    """
    files: dict[str, str] = {}
    for name, value in sorted(limits.items(), key=lambda item: item[0] == "raw"):  # raw last: it must not overlap
        if value is None:
            continue
        if name not in _PARSERS:
            raise OptionError(option, name, "is not a limit: " + ", ".join(sorted(_PARSERS)))
        for file, text in _PARSERS[name](f"{option}.{name}", value, host).items():
            if file in files and name == "raw":
                raise OptionError(f"{option}.raw", file, "is set by another limit too")
            files[file] = f"{text}\n{files[file]}" if file in files else text
    return dict(sorted(files.items()))


def devices_in(limits: Mapping[str, Any]) -> tuple[str, ...]:
    """The block devices that ``limits`` names, as they are spelled there."""
    return tuple(str(entry["device"]) for entry in limits.get("io") or ())


def option_of(file: str) -> str:
    """The option that sets a control file."""
    if re.fullmatch(r"hugetlb\..+\.max", file):
        return "limits.hugetlb"
    return f"limits.{_OPTIONS.get(file, 'raw')}"


def controllers_of(files: Iterable[str]) -> set[str]:
    """The controllers whose files these are; cgroup.* belongs to none."""
    return {name.partition(".")[0] for name in files} - {"cgroup"}


def default_of(file: str, observed: str = "") -> str:
    """The value that takes a limit back. observed: the file as it reads now, for those that list devices."""
    if file == "io.max":
        return "\n".join(f"{line.split()[0]} rbps=max wbps=max riops=max wiops=max" for line in observed.splitlines())
    if file == "io.weight":
        own = [line.split()[0] for line in observed.splitlines() if not line.startswith("default")]
        return "\n".join(["default 100", *(f"{device} default" for device in own)])
    return _DEFAULTS.get(file, values.MAX)


def _memory(file: str, least: int = 0) -> Any:
    return lambda option, value, host: {file: values.memory(option, str(value), host, least)}


def _swap(option: str, value: Any, host: HostResources) -> dict[str, str]:
    return {"memory.swap.max": values.memory(option, str(value), host, whole=host.swap)}


def _oom_group(option: str, value: Any, host: HostResources) -> dict[str, str]:
    if not isinstance(value, bool):
        raise OptionError(option, value, "must be true or false")
    return {"memory.oom.group": str(int(value))}


def _cpu(option: str, value: Any, host: HostResources) -> dict[str, str]:
    return {"cpu.max": values.cpu_max(option, str(value))}


def _cpuset(option: str, value: Any, host: HostResources) -> dict[str, str]:
    return {"cpuset.cpus": values.number_set(option, str(value), host.cpus, "CPUs")}


def _cpuset_mems(option: str, value: Any, host: HostResources) -> dict[str, str]:
    return {"cpuset.mems": values.number_set(option, str(value), host.nodes, "memory nodes")}


def _whole(file: str, least: int, most: int, may_be_max: bool = False, prefix: str = "") -> Any:
    return lambda option, value, host: {file: prefix + values.integer(option, str(value), least, most, may_be_max)}


def _hugetlb(option: str, value: Any, host: HostResources) -> dict[str, str]:
    files = {}
    names = {size: name for name, size in host.huge_page_sizes.items()}
    for key, limit in value.items():
        size = values.parse_bytes(option, str(key))
        if size not in names:
            offered = ", ".join(sorted(host.huge_page_sizes)) or "none"
            raise OptionError(option, key, f"this host has huge pages of: {offered}")
        files[f"hugetlb.{names[size]}.max"] = values.huge_pages(f"{option}.{key}", str(limit), size or 0)
    return files


def _io(option: str, value: Any, host: HostResources) -> dict[str, str]:
    rates: dict[str, str] = {}
    weights: dict[str, str] = {}
    seen: dict[str, str] = {}
    for entry in value:
        name = str(entry["device"])
        device = host.devices.get(name)
        if device is None:
            raise OptionError(option, name, "is not a block device of this host")
        if device in seen:
            raise OptionError(option, name, f"is the same device as {seen[device]}")
        seen[device] = name
        given = {rate: str(entry[rate]) for rate in _RATES if entry.get(rate) is not None}
        if not given and entry.get("weight") is None:
            raise OptionError(option, name, "needs one of " + ", ".join((*_RATES, "weight")))
        if given:
            words = [f"{rate}={values.io_rate(f'{option}.{rate}', rate, text)}" for rate, text in given.items()]
            rates[device] = " ".join([device, *words])
        if entry.get("weight") is not None:
            weights[device] = f"{device} {values.integer(f'{option}.weight', str(entry['weight']), 1, 10000)}"
    files = {"io.max": "\n".join(rates.values()), "io.weight": "\n".join(weights.values())}
    return {file: text for file, text in files.items() if text}


def _raw(option: str, value: Any, host: HostResources) -> dict[str, str]:
    files = {}
    for file, text in value.items():
        if file in _NOT_SETTINGS:
            raise OptionError(option, file, f"cannot be set here: {_NOT_SETTINGS[file]}")
        trigger = str(file).endswith(".pressure") and file != "cgroup.pressure"
        if trigger or not _FILE_NAME.fullmatch(str(file)):
            raise OptionError(option, file, "is not the name of a cgroup v2 setting, e.g. memory.zswap.max")
        spelled = str(int(text)) if isinstance(text, bool) else str(text)
        if len(spelled) > 4000 or any(ord(c) < 32 and c not in "\t\n" for c in spelled):
            raise OptionError(option, spelled[:60], f"is no value for {file}")
        files[str(file)] = values.canonical(f"{option}.{file}", str(file), spelled, host)
    return files


_PARSERS: Mapping[str, Any] = {
    "memory": _memory("memory.max", least=1),
    "memory_high": _memory("memory.high", least=1),
    "memory_low": _memory("memory.low"),
    "memory_min": _memory("memory.min"),
    "swap": _swap,
    "oom_group": _oom_group,
    "cpu": _cpu,
    "cpu_weight": _whole("cpu.weight", 1, 10000),
    "cpuset": _cpuset,
    "cpuset_mems": _cpuset_mems,
    "io": _io,
    "io_weight": _whole("io.weight", 1, 10000, prefix="default "),
    "pids": _whole("pids.max", 1, 4194304, may_be_max=True),
    "hugetlb": _hugetlb,
    "raw": _raw,
}
