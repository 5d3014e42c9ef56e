# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of cgroup v2 control files: human spelling to the kernel's, and whether two of them mean the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from .._core.errors import OptionError
from .._core.quantities import parse_size
from .._kernel.host_resources import HostResources

_PERCENT = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,4})?%")
_DECIMAL = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_INTEGER = re.compile(r"[0-9]{1,20}")

_BYTES = tuple(f"memory.{n}" for n in ("min", "low", "high", "max", "swap.max", "swap.high", "zswap.max"))
_HUGETLB = re.compile(r"hugetlb\.([0-9]+[KMG]B)\.(?:rsvd\.)?max")
_CPUSETS = ("cpuset.cpus", "cpuset.mems", "cpuset.cpus.exclusive")
#: Whole numbers: the range that the kernel takes.
_WHOLE = {
    "pids.max": (0, 4194304),
    "cpu.weight": (1, 10000),
    "cpu.max.burst": (0, (1 << 44) - 1),
    "memory.oom.group": (0, 1),
    "cpu.idle": (0, 1),
    "cgroup.max.depth": (0, (1 << 31) - 1),
    "cgroup.max.descendants": (0, (1 << 31) - 1),
}
#: One line a key, "KEY NAME=VALUE ...": what is not listed has this value.
_NESTED = {"io.max": "max", "rdma.max": "max", "io.latency": "0", "io.cost.qos": "", "io.cost.model": ""}
#: One line a key, "KEY VALUE".
_FLAT = ("io.weight", "io.bfq.weight", "misc.max", "dmem.max", "dmem.low", "dmem.min")
_IO_RANGE = {"rbps": (1 << 64) - 1, "wbps": (1 << 64) - 1, "riops": (1 << 32) - 1, "wiops": (1 << 32) - 1}

MAX = "max"
#: The kernel's largest count of bytes, less the largest huge page (16 GiB) to which it may have been rounded down.
_LIMITLESS = (1 << 63) - (1 << 34)
#: CPU time: the quota's period when only a number of CPUs is given, and the kernel's own bounds, in microseconds.
PERIOD = 100000
_PERIODS = (1000, 1000000)
_MOST_QUOTA = (1 << 44) - 1
_MOST_CPUS = 8192


def parse_bytes(option: str, value: str, whole: int | None = None, most: int = (1 << 63) - 1) -> int | None:
    """A size such as 512M, 1.5G or 1073741824 in bytes; None for ``max``. Suffixes are powers of 1024.

    whole: what ``50%`` is half of, in bytes; None where a share makes no sense. Raises OptionError.
    """
    text = value.strip()
    if text == MAX:
        return None
    if _PERCENT.fullmatch(text) and whole is not None:
        share = Decimal(text[:-1])
        if share > 100:
            raise OptionError(option, value, "a share of the host's own cannot be more than 100%")
        return int(share * whole / 100)
    share_too = ", 50%" if whole is not None else ""
    size = parse_size(option, value, f"a size such as 512M or 1.5G{share_too}, or max for no limit")
    if size >= most:
        raise OptionError(option, value, "is more than the kernel can count: write max for no limit")
    return size


def memory(option: str, value: str, host: HostResources, least: int = 0, whole: int | None = None) -> str:
    """A memory size as the kernel will show it: whole pages, or max."""
    return _rounded(option, value, host.page_size, "page", least, host.memory if whole is None else whole)


def huge_pages(option: str, value: str, page_size: int) -> str:
    """A limit on huge pages of one size: whole pages of that size, or max."""
    return _rounded(option, value, page_size, "huge page", 0, None)


def _rounded(option: str, value: str, unit: int, name: str, least: int, whole: int | None) -> str:
    size = parse_bytes(option, value, whole, most=(1 << 63) - 1 - unit)
    if size is None:
        return MAX
    if size // unit < least or (size and size < unit):
        raise OptionError(option, value, f"is less than one {name} ({unit} bytes)")
    return str(size - size % unit)


def integer(option: str, value: str, least: int, most: int, may_be_max: bool = False) -> str:
    """A whole number in that range. Raises OptionError."""
    text = value.strip()
    if may_be_max and text == MAX:
        return MAX
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
        or_max = ", or max for no limit" if may_be_max else ""
        raise OptionError(option, value, f"must be a whole number from {least} to {most}{or_max}")
    return str(int(text))


def cpu_max(option: str, value: str) -> str:
    """CPU time as cpu.max has it, "QUOTA PERIOD" in microseconds: from 1.5 (CPUs), 150%, 75000/50000 or max."""
    text = value.strip()
    quota, separator, period = (text.replace("/", " ")).partition(" ")
    if separator:
        period = integer(f"{option} (period)", period, *_PERIODS)
        if quota == MAX:
            return f"{MAX} {period}"
        return f"{integer(f'{option} (quota)', quota, 1000, _MOST_QUOTA)} {period}"
    if text == MAX:
        return f"{MAX} {PERIOD}"
    if _PERCENT.fullmatch(text):
        cpus = Decimal(text[:-1]) / 100
    elif _DECIMAL.fullmatch(text):
        cpus = Decimal(text)
    else:
        raise OptionError(option, value, "write a number of CPUs (1.5), a share of one CPU (150%), QUOTA/PERIOD or max")
    if cpus * PERIOD < 1000:
        raise OptionError(option, value, "the kernel's least is 0.01 (1% of one CPU)")
    if cpus > _MOST_CPUS:
        raise OptionError(option, value, f"is a number of CPUs; for microseconds write {text}/{PERIOD}")
    return f"{int(cpus * PERIOD)} {PERIOD}"


def number_set(option: str, value: str, offered: frozenset[int], what: str) -> str:
    """A list such as 0-2,7 as the kernel shows it: sorted, joined to ranges; empty means as the parent. OptionError."""
    numbers: set[int] = set()
    for part in value.replace(" ", "").split(",") if value.strip() else ():
        match = _RANGE.fullmatch(part)
        if not match or int(match.group(1)) > int(match.group(2) or match.group(1)):
            raise OptionError(option, value, f"write numbers and ranges such as 0-2,7 ({part!r} is neither)")
        numbers.update(range(int(match.group(1)), int(match.group(2) or match.group(1)) + 1))
    unknown = numbers - offered
    if unknown:
        raise OptionError(option, value, f"this host has {what} {as_ranges(offered)}, not {as_ranges(unknown)}")
    return as_ranges(numbers)


def as_ranges(numbers: set[int] | frozenset[int]) -> str:
    """Numbers in the kernel's list format."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def io_rate(option: str, name: str, value: str) -> str:
    """One value of io.max: bytes (10M) a second for rbps and wbps, a whole number for riops and wiops, or max."""
    if name in ("riops", "wiops"):
        return integer(option, value, 1, _IO_RANGE[name], may_be_max=True)
    size = parse_bytes(option, value)
    if size == 0:
        raise OptionError(option, value, "must be at least 1 byte a second")
    return MAX if size is None else str(size)


def canonical(option: str, file: str, value: str, host: HostResources) -> str:
    """A value for any control file, checked and spelled as the kernel will show it as far as that is known.

    Raises OptionError.
    """
    text = value.strip()
    huge = _HUGETLB.fullmatch(file)
    if file in _BYTES:
        return memory(option, text, host, whole=host.swap if file.startswith("memory.swap") else None)
    if huge and huge.group(1) in host.huge_page_sizes:
        return huge_pages(option, text, host.huge_page_sizes[huge.group(1)])
    if file == "cpu.max":
        return cpu_max(option, text) if " " in text or text == MAX else cpu_max(option, f"{text} {PERIOD}")
    if file in _CPUSETS:
        nodes = file == "cpuset.mems"
        return number_set(option, text, host.nodes if nodes else host.cpus, "memory nodes" if nodes else "CPUs")
    if file in _WHOLE:
        return integer(option, text, *_WHOLE[file], may_be_max=file in ("pids.max",) or file.startswith("cgroup."))
    if file == "io.max":
        return "\n".join(_io_max_line(option, line) for line in text.splitlines() if line.strip())
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def _io_max_line(option: str, line: str) -> str:
    device, *pairs = line.split()
    if not re.fullmatch(r"[0-9]+:[0-9]+", device) or not pairs:
        raise OptionError(option, line, "write MAJOR:MINOR rbps=N wbps=N riops=N wiops=N (any of these)")
    words = [device]
    for pair in pairs:
        name, _equals, value = pair.partition("=")
        if name not in _IO_RANGE:
            raise OptionError(option, line, f"{name!r} is none of {', '.join(_IO_RANGE)}")
        words.append(f"{name}={io_rate(option, name, value)}")
    return " ".join(words)


def same(file: str, desired: str, observed: str | None) -> bool:
    """Whether a control file already says what is wanted (``desired`` is canonical, ``observed`` as it was read)."""
    if observed is None:
        return False
    if file in _NESTED:
        return _nested_holds(_nested(observed), _nested(desired), _NESTED[file])
    if file in _FLAT:
        now = _flat(observed)
        return all(now.get(key, "default") == value for key, value in _flat(desired).items())
    return desired.split() == unquirked(file, observed).split()


def unquirked(file: str, observed: str) -> str:
    """An observed value; a limit on huge pages that was never set reads as the largest count of bytes, not as max."""
    limitless = observed.isdigit() and int(observed) >= _LIMITLESS
    return MAX if limitless and _HUGETLB.fullmatch(file) else observed


def _nested(text: str) -> dict[str, dict[str, str]]:
    lines = (line.split() for line in text.splitlines() if line.strip())
    return {words[0]: dict(word.partition("=")[::2] for word in words[1:]) for words in lines}


def _nested_holds(now: Mapping[str, Mapping[str, str]], wanted: Mapping[str, Mapping[str, str]], unset: str) -> bool:
    """A partial write merges: only the names that were given count; a device at its defaults is not listed."""
    return all(now.get(key, {}).get(name, unset) == v for key, names in wanted.items() for name, v in names.items())


def _flat(text: str) -> dict[str, str]:
    """ "KEY VALUE" lines; a lone value is the default's."""
    lines = (line.split() for line in text.splitlines() if line.strip())
    return {words[0] if len(words) > 1 else "default": words[-1] for words in lines}
