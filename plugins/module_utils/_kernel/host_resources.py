# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has to share out: memory, swap, CPUs, huge pages and block devices, from /proc and /sys."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .errors import KernelError

_HUGE_PAGES = "/sys/kernel/mm/hugepages"


@dataclass(frozen=True)
class HostResources:
    """Bytes, sets of numbers, and the block devices that were asked for as MAJOR:MINOR by the name they were given.

    ``huge_page_sizes`` maps the size as cgroup files spell it (2MB, 1GB) to bytes.
    """

    memory: int
    swap: int
    page_size: int
    cpus: frozenset[int]
    nodes: frozenset[int]
    huge_page_sizes: Mapping[str, int] = field(default_factory=dict)
    devices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BlockDevice:
    """A block device. ``whole_disk`` is the MAJOR:MINOR of the disk it is a partition of, None for a disk."""

    number: str
    whole_disk: str | None = None


def observe_host_resources(devices: Mapping[str, str] | None = None) -> HostResources:
    """Read it all. Raises KernelError. devices: MAJOR:MINOR by name, as find_block_device() found them."""
    info = _meminfo(_text("/proc/meminfo"))
    return HostResources(
        memory=info["MemTotal"],
        swap=info.get("SwapTotal", 0),
        page_size=os.sysconf("SC_PAGE_SIZE"),
        cpus=number_list(_text("/sys/devices/system/cpu/present")),
        nodes=_nodes(),
        huge_page_sizes=huge_pages_by_name(os.listdir(_HUGE_PAGES) if os.path.isdir(_HUGE_PAGES) else ()),
        devices=dict(devices or {}),
    )


def number_list(text: str) -> frozenset[int]:
    """The kernel's list format, e.g. ``0-2,7``, as numbers."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _hyphen, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def huge_pages_by_name(entries: Iterable[str]) -> dict[str, int]:
    """Directory names ``hugepages-2048kB`` as cgroup's names and bytes (mm/hugetlb_cgroup.c, mem_fmt)."""
    sizes = {}
    for entry in entries:
        match = re.fullmatch(r"hugepages-([0-9]+)kB", entry)
        if match:
            kilobytes = int(match.group(1))
            for unit, scale in (("GB", 1 << 20), ("MB", 1 << 10), ("KB", 1)):
                if kilobytes >= scale:
                    sizes[f"{kilobytes // scale}{unit}"] = kilobytes * 1024
                    break
    return sizes


def find_block_device(name: str) -> BlockDevice | None:
    """A block device by path (symlinks followed) or MAJOR:MINOR; None where there is none or it is something else."""
    if re.fullmatch(r"[0-9]{1,4}:[0-9]{1,7}", name):
        number = name
    else:
        try:
            status = os.stat(name)
        except (OSError, ValueError):
            return None
        if not stat.S_ISBLK(status.st_mode):
            return None
        number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    directory = f"/sys/dev/block/{number}"
    if not os.path.isdir(directory):
        return None
    if os.path.exists(f"{directory}/partition"):
        return BlockDevice(number, _text(f"{os.path.realpath(directory)}/../dev").strip())
    return BlockDevice(number)


def _meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes, by name (what it calls kB is KiB)."""
    pairs = (line.split() for line in text.splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in pairs if words[2:] == ["kB"]}


def _nodes() -> frozenset[int]:
    try:
        return number_list(_text("/sys/devices/system/node/has_memory"))
    except KernelError:
        return frozenset({0})  # a kernel without NUMA has one node


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            return handle.read()
    except OSError as error:
        raise KernelError.wrap(error, "open", path) from error
