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
  contains:
    name:
      description: Its name.
      returned: when there is a pair
      type: str
    ends:
      description: Its ends, with all that C(ends) of M(barekernel.containers.netns_veth) can declare.
      returned: when there is a pair
      type: list
      elements: dict
      contains:
        netns:
          description: Its network namespace, as messages name it.
          type: str
          sample: netns probe
        interface:
          description: Its name there.
          type: str
          sample: eth0
        mac:
          description: Its MAC address.
          type: str
          sample: "02:00:00:00:00:01"
        mtu:
          description: Its MTU in bytes.
          type: int
        up:
          description: Whether it is up.
          type: bool
        bridge:
          description: Name of the bridge it is a port of; empty where it is none.
          type: str
        hairpin:
          description: Whether the bridge sends frames back through this port.
          type: bool
        isolated:
          description: Whether the bridge keeps it from other isolated ports.
          type: bool
        addresses:
          description: Its addresses with their prefix.
          type: list
          elements: str
          sample: [10.99.0.2/30]
        routes:
          description: The routes through it, as C(ip route) writes them.
          type: list
          elements: str
          sample: [default via 10.99.0.1]
        impairment:
          description: What impairs it, with the suboptions of C(impairment); empty where nothing does.
          type: dict
        sysctls:
          description: The kernel parameters of its namespace that were asked for.
          type: dict
        carrier:
          description: Whether the other end is up, too.
          type: bool
namespaces:
  description: Every named network namespace.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    inode:
      description: Inode number of the namespace.
      type: int
      sample: 4026532250
    ours:
      description: Whether this collection made it.
      type: bool
    owner:
      description: The first host ID and the size of the user namespace that owns it; null where the host's does.
      type: dict
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._links.resource import NetnsVethInfo
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run_info


def main():
    run_info(NetnsVethInfo(), argument_spec={"name": {"type": "str"}})


if __name__ == "__main__":
    main()
