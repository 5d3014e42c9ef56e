#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cgroup_v2_info
short_description: Read limits, usage, events and pressure of control groups
version_added: 0.1.0
description:
  - Reads cgroups of the cgroup v2 hierarchy as they are now, and where the hierarchy is and which controllers it has.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes.info
options:
  paths:
    description:
      - The cgroups, relative to where cgroup v2 is mounted, or as absolute paths below that.
      - Unset, the root of the hierarchy. One that does not exist is returned with RV(cgroups[].exists=false).
    type: list
    elements: str
    default: [""]
  recursive:
    description: Also reads all cgroups below these.
    type: bool
    default: false
seealso:
  - module: barekernel.containers.cgroup_v2
"""

EXAMPLES = r"""
- name: Look at one cgroup
  barekernel.containers.cgroup_v2_info:
    paths: [lab/db]
  register: db

- name: Fail when the kernel had to kill for memory
  ansible.builtin.assert:
    that: db.cgroups[0].events['memory.events'].oom_kill == 0

- name: Everything below the containers' cgroup
  barekernel.containers.cgroup_v2_info:
    paths: [barekernel]
    recursive: true
"""

RETURN = r"""
hierarchy:
  description: Where cgroup v2 is mounted, its mode, its controllers, and why it lacks those that it lacks.
  returned: always
  type: dict
  sample: {"mount": "/sys/fs/cgroup", "mode": "unified", "controllers": ["cpu", "memory"], "missing": {}}
cgroups:
  description: The cgroups asked for, each before those below it.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Its directory.
      returned: always
      type: str
    exists:
      description: Whether it exists; where it does not, all else is empty.
      returned: always
      type: bool
    ours:
      description: Whether this collection made it or one above it.
      returned: always
      type: bool
    controllers:
      description: The controllers it has.
      returned: always
      type: list
      elements: str
    enabled:
      description: The controllers it enables for its children.
      returned: always
      type: list
      elements: str
    frozen:
      description: Whether it was asked to be frozen.
      returned: always
      type: bool
    populated:
      description: Whether a process is in it or below it.
      returned: always
      type: bool
    pids:
      description: The processes in it, without those below it.
      returned: always
      type: list
      elements: int
    children:
      description: Names of the cgroups directly below it.
      returned: always
      type: list
      elements: str
    limits:
      description: Its settings by file name, as the kernel shows them.
      returned: always
      type: dict
      sample: {"memory.max": "536870912", "pids.max": "max"}
    usage:
      description: What it uses, by file name; numbers, or numbers by key.
      returned: always
      type: dict
      sample: {"memory.current": 1486848, "cpu.stat": {"usage_usec": 38114}}
    events:
      description: What has happened to it, by file name.
      returned: always
      type: dict
      sample: {"memory.events": {"max": 0, "oom_kill": 0}}
    pressure:
      description: Pressure stall information of cpu, io and memory, in percent of time and microseconds.
      returned: always
      type: dict
      sample: {"cpu": {"some": {"avg10": 0.5, "avg60": 0.1, "avg300": 0.0, "total": 4711}}}
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._cgroup.resource import CgroupInfo
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.cgroup import cgroup_info
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run_info


def main():
    run_info(CgroupInfo(), argument_spec=cgroup_info())


if __name__ == "__main__":
    main()
