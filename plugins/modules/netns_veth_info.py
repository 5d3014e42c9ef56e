#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns_veth_info
short_description: Read named network namespaces and the veth pairs of this collection
version_added: 0.1.0
description:
  - Reads, from the live kernel, every named network namespace and every veth pair made by
    M(barekernel.containers.netns_veth)
    or for a container, in whatever namespaces its ends are.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes.info
requirements:
  - pyroute2 on the host (package C(python3-pyroute2)); a system Python that has it is found by itself
options:
  name:
    description: Only the pair of that name. Unset, all.
    type: str
seealso:
  - module: barekernel.containers.netns_veth
"""

EXAMPLES = r"""
- name: Look at all pairs
  barekernel.containers.netns_veth_info:
  register: links

- name: Fail when a link has no carrier
  ansible.builtin.assert:
    that: links.veths | map(attribute='ends') | flatten | rejectattr('carrier') | length == 0
"""

RETURN = r"""
veths:
  description: The pairs, each with its name and the ends that were found, first end first.
  returned: always
  type: list
  elements: dict
  sample:
    - name: probe
      ends:
        - netns: netns probe
          interface: eth0
          mac: "02:00:00:00:00:01"
          mtu: 1500
          up: true
          carrier: true
          bridge: ""
          hairpin: false
          isolated: false
          addresses: [10.99.0.2/30]
          routes: [default via 10.99.0.1]
          impairment: {}
          sysctls: {}
namespaces:
  description:
    - Every named network namespace, with its name, inode number, whether it is ours, and the owner of
      one that a user namespace owns.
  returned: always
  type: list
  elements: dict
  sample: [{"name": "probe", "inode": 4026532250, "ours": true, "owner": null}]
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._links.resource import NetnsVethInfo
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run_info


def main():
    run_info(NetnsVethInfo(), argument_spec={"name": {"type": "str"}})


if __name__ == "__main__":
    main()
