#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cgroup_v2
short_description: Limit, fill, freeze and remove control groups
version_added: 0.1.0
description:
  - Makes a cgroup of the cgroup v2 hierarchy, sets its limits, moves processes into it and freezes it, all live.
  - The controllers that the limits need are enabled in every cgroup on the way down. Where cgroup v2 on this host lacks
    a controller, the error says what holds it, and nothing is changed.
  - Limits can also be set on a cgroup that something else has made, such as C(system.slice).
    Only cgroups that this collection made are removed.
  - On hosts where systemd manages the hierarchy, systemd may take controllers away again from cgroups directly below
    the
    root. Use a path of at least two names, e.g. V(lab/db), or a delegated unit.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes
  - barekernel.containers.boot
  - barekernel.containers.limits
options:
  path:
    description:
      - The cgroup, relative to where cgroup v2 is mounted, or as an absolute path below that.
      - Cgroups above it that are missing are made too, and removed with it when nothing else needs them.
    type: str
    required: true
  state:
    description:
      - V(present) makes the cgroup and gives it what the other options say.
      - V(absent) removes it and disables the controllers that were enabled for it above, where no other cgroup relies
        on them (enables them further down, or has a setting of theirs that is not the default).
    type: str
    choices: [present, absent]
    default: present
  pids:
    description:
      - Processes to move into the cgroup, with all their threads. Applied live.
      - One that does not exist, and a kernel thread, are errors. A process that is in the cgroup or below it stays
        there.
      - Processes that are not named stay where they are.
      - O(systemd) makes the cgroup again at boot, without processes.
    type: list
    elements: int
  freeze:
    description:
      - Freezes (V(true)) or thaws (V(false)) every process in the cgroup. Unset, it stays as it is. Applied live.
      - What would freeze the task itself, or a process that it was started by, is refused.
    type: bool
  kill:
    description: With O(state=absent), kills every process in the cgroup and below it. Otherwise these are an error.
    type: bool
    default: false
  recursive:
    description: With O(state=absent), removes the cgroups below it too. Otherwise these are an error.
    type: bool
    default: false
seealso:
  - module: barekernel.containers.cgroup_v2_info
  - module: barekernel.containers.kernel_info
  - name: cgroup v2
    description: The kernel's own description of every file.
    link: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

EXAMPLES = r"""
- name: Half the memory and one and a half CPUs for a database
  barekernel.containers.cgroup_v2:
    path: lab/db
    limits:
      memory: 50%
      swap: "0"
      cpu: "1.5"
      pids: 200
      io:
        - device: /dev/vda
          wbps: 20M
    pids: "{{ [postmaster_pid | int] }}"

- name: Take the CPU limit back
  barekernel.containers.cgroup_v2:
    path: lab/db
    limits:
      cpu: max

- name: Freeze it while a snapshot is taken
  barekernel.containers.cgroup_v2:
    path: lab/db
    freeze: true

- name: End everything in it and remove it
  barekernel.containers.cgroup_v2:
    path: lab/db
    state: absent
    kill: true
    recursive: true
"""

RETURN = r"""
actions:
  description:
    - What was done, or in check mode would be done, in order, one sentence each.
    - Of a task that failed, what had been done by then and stays; C(changed) says whether that is anything.
  returned: always
  type: list
  elements: str
  sample: ["make cgroup /sys/fs/cgroup/lab", "set /sys/fs/cgroup/lab/pids.max to 200"]
actions_undone:
  description: What had been done and was taken back again.
  returned: when the task failed and took something back
  type: list
  elements: str
changes:
  description:
    - Each option of an existing object whose value differed, with before, after and how it is applied.
    - Empty when the object is made or removed.
  returned: always
  type: list
  elements: dict
  sample: [{"option": "limits.pids.max", "before": "max", "after": "200", "how": "live"}]
  contains:
    option:
      description: Name of the option.
      type: str
    before:
      description: The observed value.
      type: raw
    after:
      description: The declared value.
      type: raw
    how:
      description: V(live), V(restart) or V(recreate).
      type: str
cgroup:
  description: The cgroup as it is now.
  returned: always
  type: dict
  contains:
    path:
      description: Its directory.
      returned: always
      type: str
    exists:
      description: Whether it exists.
      returned: always
      type: bool
    controllers:
      description: The controllers it has.
      returned: always
      type: list
      elements: str
    limits:
      description: The control files that O(limits) is about, as the kernel shows them.
      returned: always
      type: dict
    frozen:
      description: Whether it was asked to be frozen.
      returned: always
      type: bool
    processes:
      description: PIDs in it and below it.
      returned: always
      type: list
      elements: int
    children:
      description: Names of the cgroups directly below it.
      returned: always
      type: list
      elements: str
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._cgroup.resource import CgroupResource
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.cgroup import cgroup
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run


def main():
    run(CgroupResource(), argument_spec=cgroup())


if __name__ == "__main__":
    main()
