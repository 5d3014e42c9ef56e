# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Human limits become what the kernel stores, and are compared as it stores them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._cgroup import limit_values as values
from ansible_collections.barekernel.containers.plugins.module_utils._cgroup.limits import (
    controllers_of,
    default_of,
    devices_in,
    limits_to_files,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.host_resources import (
    HostResources,
    huge_pages_by_name,
    number_list,
)
from hypothesis import given
from hypothesis import strategies as st

G = 1 << 30
HOST = HostResources(
    memory=8 * G + 4096 * 3,
    swap=2 * G,
    page_size=4096,
    cpus=frozenset(range(8)),
    nodes=frozenset({0}),
    huge_page_sizes={"2MB": 2 << 20, "1GB": G},
    devices={"/dev/sda": "8:0", "8:0": "8:0", "/dev/disk/by-id/x": "8:16"},
)

GOOD: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"memory": "512M"}, {"memory.max": "536870912"}),
    ({"memory": "512m"}, {"memory.max": "536870912"}),
    ({"memory": "512MB"}, {"memory.max": "536870912"}),
    ({"memory": "512 MiB"}, {"memory.max": "536870912"}),
    ({"memory": "1.5G"}, {"memory.max": "1610612736"}),
    ({"memory": 1000000}, {"memory.max": "999424"}),
    ({"memory": "0.3G"}, {"memory.max": "322121728"}),
    ({"memory": "50%"}, {"memory.max": str(4 * G + 4096)}),
    ({"memory": "100%"}, {"memory.max": str(8 * G + 3 * 4096)}),
    ({"memory": "max"}, {"memory.max": "max"}),
    ({"memory_high": "1T", "memory_low": "0", "memory_min": "4K"},
     {"memory.high": str(1 << 40), "memory.low": "0", "memory.min": "4096"}),
    ({"swap": "0"}, {"memory.swap.max": "0"}),
    ({"swap": "50%"}, {"memory.swap.max": str(G)}),
    ({"oom_group": True}, {"memory.oom.group": "1"}),
    ({"oom_group": False}, {"memory.oom.group": "0"}),
    ({"cpu": "1.5"}, {"cpu.max": "150000 100000"}),
    ({"cpu": 2}, {"cpu.max": "200000 100000"}),
    ({"cpu": "150%"}, {"cpu.max": "150000 100000"}),
    ({"cpu": "0.01"}, {"cpu.max": "1000 100000"}),
    ({"cpu": "33.3333%"}, {"cpu.max": "33333 100000"}),
    ({"cpu": "25000/50000"}, {"cpu.max": "25000 50000"}),
    ({"cpu": "25000 50000"}, {"cpu.max": "25000 50000"}),
    ({"cpu": "max/50000"}, {"cpu.max": "max 50000"}),
    ({"cpu": "max"}, {"cpu.max": "max 100000"}),
    ({"cpu_weight": 100}, {"cpu.weight": "100"}),
    ({"cpuset": "0-2,7"}, {"cpuset.cpus": "0-2,7"}),
    ({"cpuset": "7, 2,1,0,2-3"}, {"cpuset.cpus": "0-3,7"}),
    ({"cpuset": 3}, {"cpuset.cpus": "3"}),
    ({"cpuset": ""}, {"cpuset.cpus": ""}),
    ({"cpuset_mems": "0"}, {"cpuset.mems": "0"}),
    ({"pids": "100"}, {"pids.max": "100"}),
    ({"pids": "max"}, {"pids.max": "max"}),
    ({"io_weight": 50}, {"io.weight": "default 50"}),
    ({"io": [{"device": "/dev/sda", "rbps": "1M", "wiops": 120}]}, {"io.max": "8:0 rbps=1048576 wiops=120"}),
    ({"io": [{"device": "8:0", "wbps": "max"}, {"device": "/dev/disk/by-id/x", "weight": 20}], "io_weight": 10},
     {"io.max": "8:0 wbps=max", "io.weight": "default 10\n8:16 20"}),
    ({"hugetlb": {"2M": "5M", "1GB": "max"}}, {"hugetlb.2MB.max": "4194304", "hugetlb.1GB.max": "max"}),
    ({"hugetlb": {"2097152": 0}}, {"hugetlb.2MB.max": "0"}),
    ({"raw": {"memory.zswap.max": "10M", "cgroup.max.depth": 3, "cpu.weight.nice": "-5"}},
     {"memory.zswap.max": "10485760", "cgroup.max.depth": "3", "cpu.weight.nice": "-5"}),
    ({"raw": {"io.max": "8:0  rbps=2M\n"}}, {"io.max": "8:0 rbps=2097152"}),
    ({"raw": {"cpu.max": "5000"}}, {"cpu.max": "5000 100000"}),
    ({"raw": {"memory.oom.group": True}}, {"memory.oom.group": "1"}),
    ({"raw": {"hugetlb.2MB.rsvd.max": "3M"}}, {"hugetlb.2MB.rsvd.max": "2097152"}),
    ({"memory": None, "raw": {}}, {}),
    ({}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "files"), GOOD, ids=lambda value: str(value)[:60])
def test_limits_become_files(limits: dict[str, Any], files: dict[str, str]) -> None:
    assert limits_to_files(limits, HOST) == files


BAD: list[tuple[dict[str, Any], str]] = [
    ({"memory": "99999999999999999999"}, "limits.memory"),
    ({"memory": "9223372036854775807"}, "more than the kernel can count"),
    ({"memory": "8E"}, "more than the kernel can count"),
    ({"memory": "-1"}, "limits.memory: '-1'"),
    ({"memory": "+5M"}, "or a size such as"),
    ({"memory": "1e9"}, "or a size such as"),
    ({"memory": "0x100000"}, "or a size such as"),
    ({"memory": "\u0661\u0662M"}, "or a size such as"),
    ({"memory": "nan"}, "or a size such as"),
    ({"memory": ""}, "or a size such as"),
    ({"memory": True}, "or a size such as"),
    ({"memory": "0"}, "less than one page"),
    ({"memory": "512"}, "less than one page"),
    ({"memory_low": "1"}, "less than one page"),
    ({"memory": "1.5"}, "no part of a byte"),
    ({"memory": "101%"}, "more than 100%"),
    ({"memory": "512M\n"*2}, "or a size such as"),
    ({"oom_group": "yes"}, "true or false"),
    ({"cpu": "0"}, "0.01"),
    ({"cpu": "0.001"}, "0.01"),
    ({"cpu": "-1"}, "number of CPUs"),
    ({"cpu": "150000"}, "150000/100000"),
    ({"cpu": "50000/500"}, "from 1000 to 1000000"),
    ({"cpu": "50000/2000000"}, "from 1000 to 1000000"),
    ({"cpu": "999/100000"}, "limits.cpu (quota)"),
    ({"cpu": "99999999999999999999/100000"}, "limits.cpu (quota)"),
    ({"cpu": "1/2/3"}, "limits.cpu (period)"),
    ({"cpu_weight": 0}, "from 1 to 10000"),
    ({"cpu_weight": 10001}, "from 1 to 10000"),
    ({"cpuset": "8"}, "has CPUs 0-7, not 8"),
    ({"cpuset": "3-1"}, "numbers and ranges"),
    ({"cpuset": "0-99999"}, "not 8-99999"),
    ({"cpuset": "0,,1"}, "numbers and ranges"),
    ({"cpuset": "0-7:2/4"}, "numbers and ranges"),
    ({"cpuset_mems": "1"}, "memory nodes 0, not 1"),
    ({"pids": 0}, "from 1 to 4194304"),
    ({"pids": 99999999999999999999}, "from 1 to 4194304"),
    ({"pids": "-1"}, "from 1 to 4194304"),
    ({"io": [{"device": "/dev/nope", "rbps": "1M"}]}, "'/dev/nope': is not a block device"),
    ({"io": [{"device": "8:0"}]}, "needs one of"),
    ({"io": [{"device": "8:0", "rbps": "0"}]}, "limits.io.rbps"),
    ({"io": [{"device": "8:0", "riops": "4294967296"}]}, "limits.io.riops"),
    ({"io": [{"device": "8:0", "weight": 0}]}, "limits.io.weight"),
    ({"io": [{"device": "8:0", "rbps": 1}, {"device": "/dev/sda", "wbps": 1}]}, "same device as 8:0"),
    ({"hugetlb": {"4M": "8M"}}, "huge pages of: 1GB, 2MB"),
    ({"hugetlb": {"2M": "1M"}}, "less than one huge page"),
    ({"raw": {"../memory.max": "1M"}}, "not the name"),
    ({"raw": {"memory/max": "1M"}}, "not the name"),
    ({"raw": {"cgroup.procs": "1"}}, "option pids"),
    ({"raw": {"memory.pressure": "some 1 2"}}, "not the name"),
    ({"raw": {"memory.max": "99999999999999999999"}}, "limits.raw.memory.max"),
    ({"raw": {"pids.max": "99999999999999999999"}}, "limits.raw.pids.max"),
    ({"raw": {"io.max": "sda rbps=1"}}, "MAJOR:MINOR"),
    ({"raw": {"io.max": "8:0 bps=1"}}, "'bps' is none of"),
    ({"raw": {"memory.stat": "a\0b"}}, "no value"),
    ({"memory": "1G", "raw": {"memory.max": "2G"}}, "set by another limit"),
    ({"raw": {"io.weight": "default 5"}, "io_weight": 3}, "set by another limit"),
    ({"ram": "1G"}, "is not a limit"),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "words"), BAD, ids=lambda value: str(value)[:60])
def test_nonsense_is_refused_with_words(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=re.escape(words)):
        limits_to_files(limits, HOST)


SAME = [
    ("memory.max", "536870912", "536870912", True),
    ("memory.max", "536870912", "536866816", False),
    ("memory.max", "max", "max", True),
    ("cpu.max", "max 100000", "max 100000", True),
    ("cpu.max", "150000 100000", "150000 50000", False),
    ("cpuset.cpus", "", "", True),
    ("cpuset.cpus", "0-3", "", False),
    ("io.max", "8:0 rbps=1048576", "8:0 rbps=1048576 wbps=max riops=max wiops=120", True),
    ("io.max", "8:0 rbps=1048576", "8:0 rbps=2097152 wbps=max riops=max wiops=120", False),
    ("io.max", "8:0 rbps=max", "", True),
    ("io.max", "8:0 rbps=max\n8:16 wiops=5", "8:0 rbps=5 wbps=max riops=max wiops=max", False),
    ("io.max", "8:0 rbps=5", "", False),
    ("io.weight", "default 10", "default 10\n8:16 20", True),
    ("io.weight", "default 10\n8:16 20", "default 10", False),
    ("io.weight", "8:16 default", "default 100", True),
    ("io.bfq.weight", "default 10", "10", True),
    ("io.latency", "8:16 target=0", "", True),
    ("misc.max", "res_a 3", "res_a 3\nres_b max", True),
    ("rdma.max", "mlx4_0 hca_handle=2", "mlx4_0 hca_handle=2 hca_object=max", True),
    ("memory.max", "max", None, False),
    ("hugetlb.1GB.max", "max", "9223372036854771712", True),
    ("hugetlb.1GB.rsvd.max", "max", "9223372035781033984", True),
    ("hugetlb.1GB.max", "max", "1073741824", False),
    ("hugetlb.1GB.current", "max", "9223372036854771712", False),
]


@pytest.mark.parametrize(("file", "desired", "observed", "equal"), SAME)
def test_values_are_compared_as_the_kernel_stores_them(
    file: str, desired: str, observed: str | None, equal: bool
) -> None:
    assert values.same(file, desired, observed) is equal


def test_controllers_are_those_of_the_files() -> None:
    assert controllers_of(["memory.max", "memory.high", "cgroup.max.depth", "hugetlb.2MB.max"]) == {"memory", "hugetlb"}


def test_devices_are_named_for_the_resource_to_look_up() -> None:
    assert devices_in({"io": [{"device": "/dev/sda"}, {"device": "8:16"}]}) == ("/dev/sda", "8:16")
    assert devices_in({"io": None}) == ()


@pytest.mark.parametrize(
    ("file", "observed", "default"),
    [
        ("memory.max", "5", "max"),
        ("memory.low", "5", "0"),
        ("cpu.max", "5000 100000", "max 100000"),
        ("cpuset.cpus", "0", ""),
        ("io.max", "8:0 rbps=5 wbps=max\n8:16 rbps=7", "8:0 rbps=max wbps=max riops=max wiops=max\n"
         "8:16 rbps=max wbps=max riops=max wiops=max"),
        ("io.weight", "default 5\n8:0 7", "default 100\n8:0 default"),
        ("hugetlb.2MB.max", "0", "max"),
    ],
)  # fmt: skip
def test_the_default_takes_a_limit_back(file: str, observed: str, default: str) -> None:
    assert default_of(file, observed) == default


@given(st.integers(min_value=4096, max_value=1 << 60), st.sampled_from([4096, 16384, 65536]))
def test_bytes_are_rounded_down_to_pages(size: int, page: int) -> None:
    host = HostResources(8 * G, 0, page, frozenset({0}), frozenset({0}))
    if size < page:
        return
    text = values.memory("memory", str(size), host)
    assert int(text) % page == 0 and 0 <= size - int(text) < page
    assert values.memory("memory", text, host) == text


@given(st.integers(min_value=1, max_value=1023), st.sampled_from("kmgtKMGT"), st.sampled_from(["", "B", "iB", "b"]))
def test_suffixes_are_powers_of_1024(number: int, unit: str, tail: str) -> None:
    expected = number * 1024 ** (" kmgt".index(unit.lower()))
    assert values.parse_bytes("memory", f"{number}{unit}{tail}") == expected


@given(st.sets(st.integers(min_value=0, max_value=300)))
def test_ranges_are_read_back(numbers: set[int]) -> None:
    text = values.as_ranges(numbers)
    assert number_list(text) == numbers
    assert values.number_set("cpuset", text, frozenset(range(301)), "CPUs") == text


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 63)), max_size=6))
def test_any_spelling_of_a_set_is_normalised(pairs: list[tuple[int, int]]) -> None:
    ranges = [sorted(pair) for pair in pairs]
    text = ",".join(f"{first}-{last}" for first, last in ranges)
    wanted = {number for first, last in ranges for number in range(first, last + 1)}
    assert number_list(values.number_set("cpuset", text, frozenset(range(64)), "CPUs")) == wanted


@given(st.text(max_size=24))
def test_no_text_gets_past_the_parsers_unchecked(text: str) -> None:
    for name in ("memory", "cpu", "cpuset", "pids", "cpu_weight", "swap"):
        try:
            files = limits_to_files({name: text}, HOST)
        except OptionError:
            continue
        for value in files.values():
            assert re.fullmatch(r"(max|[0-9,-]*)( [0-9]+)?", value)


def test_huge_pages_are_named_as_the_cgroup_files_are() -> None:
    names = huge_pages_by_name(["hugepages-64kB", "hugepages-2048kB", "hugepages-1048576kB", "other"])
    assert names == {"64KB": 65536, "2MB": 2 << 20, "1GB": G}
