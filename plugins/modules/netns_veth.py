#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns_veth
short_description: Network namespaces and veth pairs with addresses, routes and impairment
version_added: 0.1.0
description:
  - Makes named network namespaces and a veth pair between any two of a named namespace, a namespace by path or
    process,
    a container and the host, with all that belongs to its ends.
  - Everything is compared with the live kernel and changed in place on the live link. A pair of which an end was
    moved,
    renamed or lost is repaired.
  - Works for any process, e.g. a virtual machine or a service in a namespace of its own, without a container.
  - With O(systemd=true) an end cannot be given by O(ends[].pid) or O(ends[].path), which no boot brings back.
  - An interface that has the wanted name and is not an end of this pair is never touched; the task fails and says
    what it is.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes
  - barekernel.containers.boot
  - barekernel.containers.veth
requirements:
  - pyroute2 on the host (package C(python3-pyroute2)); a system Python that has it is found by itself
options:
  name:
    description:
      - Names the pair, up to 63 letters, digits, C(_), C(.) and C(-). Both ends bear it in their alias, as
        C(barekernel:veth/NAME/0) and C(barekernel:veth/NAME/1).
    type: str
    required: true
  state:
    description:
      - V(present) makes namespaces and pair as declared.
      - V(absent) removes the pair wherever its ends are, and namespaces as O(remove_namespaces) says; O(ends) need
        not be
        given.
    type: str
    choices: [present, absent]
    default: present
  remove_namespaces:
    description:
      - Which namespaces O(state=absent) removes, of those that O(namespaces) and O(ends) name and those in which the
        ends
        are found.
      - V(unused) removes those that this collection made and that hold no process and no other interface.
      - V(always) removes them whatever is in them; processes in them keep the namespace without its name. One that
        this
        collection did not make is refused.
      - V(never) leaves them.
      - That of a container is never removed here, it goes with the container.
    type: str
    choices: [unused, always, never]
    default: unused
seealso:
  - module: barekernel.containers.netns_veth_info
  - module: barekernel.containers.bridge_network
"""

EXAMPLES = r"""
- name: A namespace that reaches the host
  barekernel.containers.netns_veth:
    name: probe
    ends:
      - netns: probe
        interface: eth0
        addresses: [10.99.0.2/30, fd99::2/64]
        routes:
          - to: default
            via: 10.99.0.1
      - interface: probe0
        addresses: [10.99.0.1/30, fd99::1/64]

- name: Find the process of a service that has a network namespace of its own (PrivateNetwork= of its unit)
  ansible.builtin.command: systemctl show --property MainPID --value db.service
  register: service
  changed_when: false

- name: A port of a bridge for it
  barekernel.containers.netns_veth:
    name: db
    ends:
      - pid: "{{ service.stdout }}"
        interface: eth0
        mac: 02:00:00:00:db:01
        addresses: [10.88.0.20/24]
      - interface: db0
        bridge: lab0
        isolated: true

- name: A slow and lossy link between two routers
  barekernel.containers.netns_veth:
    name: r1-r2
    ends:
      - netns: r1
        interface: to-r2
        addresses: [192.0.2.1/31]
        impairment: {delay: 40ms, jitter: 5ms, loss: 0.5%}
        sysctls:
          net.ipv4.ip_forward: true
      - netns: r2
        interface: to-r1
        addresses: [192.0.2.0/31]
        impairment: {rate: 10mbit}

- name: A namespace alone, owned by a user namespace
  barekernel.containers.netns_veth:
    name: sandbox
    namespaces:
      - name: sandbox
        owner: {host_id: 200000}

- name: Remove the pair, and the namespace if nothing else is in it
  barekernel.containers.netns_veth:
    name: probe
    state: absent
"""

RETURN = r"""
actions:
  description:
    - What was done, or in check mode would be done, in order, one sentence each.
    - Of a task that failed, what had been done by then and stays; C(changed) says whether that is anything.
  returned: always
  type: list
  elements: str
  sample: ["eth0 in netns probe: set MTU 1400"]
changes:
  description:
    - Each option of an existing object whose value differed, with before, after and how it is applied.
    - Empty when the object is made or removed.
  returned: always
  type: list
  elements: dict
  sample: [{"option": "ends[0].mtu", "before": 1500, "after": 1400, "how": "live"}]
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
veth:
  description: The pair as it is now; empty where there is none.
  returned: always
  type: dict
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
namespaces:
  description: The named namespaces of the task that exist.
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
from ansible_collections.barekernel.containers.plugins.module_utils._links.resource import NetnsVeth
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.netns_veth import netns_veth
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run


def main():
    run(NetnsVeth(), argument_spec=netns_veth())


if __name__ == "__main__":
    main()
