#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_info
short_description: Read what this host's kernel offers, with a reason for what it does not
version_added: 0.1.0
description:
  - Says which kernel interfaces, controllers, namespaces, qdiscs and programs a host has, and why it lacks the others.
  - The kernel is asked where asking changes nothing; otherwise its configuration, modules and version are read.
    No module is loaded for file systems, links and qdiscs.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes.info
options: {}
seealso:
  - module: barekernel.containers.cgroup_v2_info
"""

EXAMPLES = r"""
- name: See what the host can do
  barekernel.containers.kernel_info:
  register: host

- name: Stop early where memory cannot be limited
  ansible.builtin.assert:
    that: host.features.controller_memory.available
    fail_msg: "{{ host.features.controller_memory.reason }}"

- name: Everything that is missing
  ansible.builtin.debug:
    msg: "{{ host.features | dict2items | rejectattr('value.available') | items2dict }}"
"""

RETURN = r"""
kernel:
  description: The kernel and what the host has to share out.
  returned: always
  type: dict
  contains:
    release:
      description: As C(uname -r) says it.
      returned: always
      type: str
    version:
      description: Major and minor version.
      returned: always
      type: list
      elements: int
    machine:
      description: As C(uname -m) says it.
      returned: always
      type: str
    security_modules:
      description: Active Linux security modules; empty where securityfs is not mounted.
      returned: always
      type: list
      elements: str
    cgroup:
      description:
        - Where cgroup v2 is mounted, its mode (V(unified), V(hybrid), V(legacy) or V(none)), its controllers, and for
          each
          that it lacks who holds it.
      returned: always
      type: dict
      sample: {"mount": "/sys/fs/cgroup", "mode": "unified", "controllers": ["cpu", "memory"], "missing": {}}
    memory:
      description: Bytes of memory.
      returned: always
      type: int
    swap:
      description: Bytes of swap.
      returned: always
      type: int
    page_size:
      description: Bytes of a page.
      returned: always
      type: int
    cpus:
      description: Number of CPUs present.
      returned: always
      type: int
    huge_pages:
      description: Sizes of huge pages in bytes, by the name that cgroup files give them.
      returned: always
      type: dict
    python:
      description: The interpreter that ran this module.
      returned: always
      type: dict
features:
  description:
    - Each feature by name, with C(available) and, where that is false, the C(reason).
    - C(controller_*) are the controllers of cgroup v2, C(namespace_*) the kinds of namespace, C(program_*) programs.
  returned: always
  type: dict
  sample:
    netem: {"available": false, "reason": "this kernel was built without CONFIG_NET_SCH_NETEM"}
    overlay: {"available": true, "reason": ""}
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._core.kernel_info import KernelInfo
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run_info


def main():
    run_info(KernelInfo(), argument_spec={})


if __name__ == "__main__":
    main()
