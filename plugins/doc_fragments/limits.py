# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of a cgroup, shared by cgroup_v2 and ns_container."""

from __future__ import annotations


class ModuleDocFragment:
    """Says the same as module_utils/_module/arguments/limits.py; a test compares them."""

    DOCUMENTATION = r"""
options:
  limits:
    description:
      - Limits of the cgroup, in human units. Each is compared with what the kernel stores and applied live.
      - A limit that is not named is left as it is; V(max) (or the kernel's default, where one is named) takes it back.
        Of a container, one that is not named any more goes back to the kernel's default.
      - Sizes are bytes, or numbers with the suffix V(K), V(M), V(G) or V(T), also written V(MB) or V(MiB); all are
        powers
        of 1024. The kernel rounds memory down to whole pages.
    type: dict
    suboptions:
      memory:
        description:
          - The most memory (C(memory.max)), e.g. V(512M), V(1.5G), V(50%) of the host's memory, or V(max) for no limit.
          - When it is reached and nothing can be reclaimed, the kernel kills a process of the cgroup.
        type: str
      memory_high:
        description:
          - Memory above which processes are slowed down and reclaimed from (C(memory.high)); values as
            O(limits.memory).
        type: str
      memory_low:
        description:
          - Memory that is reclaimed only when nothing else can be (C(memory.low)); values as O(limits.memory), V(0)
            is the default.
        type: str
      memory_min:
        description: Memory that is never reclaimed (C(memory.min)); values as O(limits.memory), V(0) is the default.
        type: str
      swap:
        description:
          - The most swap (C(memory.swap.max)), e.g. V(1G), V(0) for none, V(50%) of the host's swap, or V(max).
          - This is swap alone, as cgroup v2 counts it, not the sum of memory and swap.
        type: str
      oom_group:
        description:
          - Kills the whole cgroup, not one process, when memory runs out (C(memory.oom.group)). V(false) is the
            default.
        type: bool
      cpu:
        description:
          - The most CPU time (C(cpu.max)) as a number of CPUs V(1.5), a share of one CPU V(150%), or
            V(QUOTA/PERIOD) in microseconds, e.g. V(75000/50000). V(max) is no limit.
          - A number of CPUs or a share has a period of 100000 microseconds.
        type: str
      cpu_weight:
        description: Share of CPU time against sibling cgroups (C(cpu.weight)), 1 to 10000; 100 is the default.
        type: int
      cpuset:
        description:
          - The CPUs that may be used (C(cpuset.cpus)), e.g. V(0-2,7). Each must be one of the host's.
          - The empty string means those of the parent.
        type: str
      cpuset_mems:
        description:
          - The memory nodes that may be used (C(cpuset.mems)), e.g. V(0). The empty string means those of the parent.
        type: str
      io:
        description:
          - Limits and weights of single block devices. A device, or one of its rates, that is not named is left as it
            is.
        type: list
        elements: dict
        suboptions:
          device:
            description:
              - Path of the device, symbolic links followed, or V(MAJOR:MINOR). The kernel limits whole disks, not
                partitions.
            type: str
            required: true
          rbps:
            description: Bytes read a second, e.g. V(10M), or V(max).
            type: str
          wbps:
            description: Bytes written a second, e.g. V(10M), or V(max).
            type: str
          riops:
            description: Reads a second, or V(max).
            type: str
          wiops:
            description: Writes a second, or V(max).
            type: str
          weight:
            description: Share of this device against sibling cgroups, 1 to 10000, where the I/O scheduler has weights.
            type: int
      io_weight:
        description: Share of all devices against sibling cgroups (C(io.weight)), 1 to 10000; 100 is the default.
        type: int
      pids:
        description:
          - The most processes and threads (C(pids.max)), at least 1, or V(max).
          - Unset, a container of M(barekernel.containers.ns_container) has V(4096), where the host has the controller.
            V(max) is no limit.
        type: str
      hugetlb:
        description:
          - The most huge pages by their size (C(hugetlb.SIZE.max)), a dictionary such as C(2M=64M); V(max) is no
            limit.
        type: dict
      raw:
        description:
          - Any other setting by the name of its file, e.g. C(cgroup.max.depth), with the value as the kernel takes it.
          - A file that another limit sets, and files that are no settings, are refused.
        type: dict
"""
