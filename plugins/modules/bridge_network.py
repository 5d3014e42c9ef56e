#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_network
short_description: Networks for containers with NAT, published ports and isolation
version_added: 0.1.0
description:
  - Makes a bridge with gateway addresses and what it takes to reach the world from it and published ports on it.
  - All networks share one nftables table, C(inet barekernel). Rules of others, those of iptables-legacy
    included, are read to warn about what they drop, and never touched.
  - Needs C(net.ipv4.ip_forward) and, for IPv6, C(net.ipv6.conf.all.forwarding), so the host forwards between all its
    interfaces. The values as they were are put back with the last network that needs them, unless somebody else has
    changed them since. An interface that has its default route from router advertisements gets C(accept_ra=2), as it
    would lose that route otherwise.
  - When one of the two is switched, the kernel sets C(forwarding) of every interface and of C(default) to the same, and
    with C(net.ipv4.ip_forward) also C(net.ipv4.conf.all.accept_redirects) to the opposite. What of these differed is
    put back, too. An interface that must not forward meanwhile gets C(forwarding=0) after the first network was made;
    that is left alone as long as the switch stays on.
  - Every option is compared with the live kernel. Containers stay attached while a network changes.
extends_documentation_fragment:
  - barekernel.containers.attributes
  - barekernel.containers.network
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description: Name of the network, up to 63 letters, digits, C(_), C(.) and C(-).
    type: str
    required: true
  state:
    description:
      - V(present) makes the network as declared.
      - V(absent) removes it with everything that belongs to it.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - Removes a network, or renames its bridge, while containers are attached, which cuts them off.
      - V(false) refuses and names them.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: A network with NAT to the outside, IPv4 and IPv6
  barekernel.containers.bridge_network:
    name: lab0
    addresses:
      - 10.88.0.1/24
      - fd88::1/64

- name: A port of the host that leads to a virtual machine on the bridge
  barekernel.containers.bridge_network:
    name: lab0
    addresses: [10.88.0.1/24]
    published:
      - addresses: [10.88.0.50]
        ports: ["2222:22", "127.0.0.1:5300:53/udp", "9000-9009:9000-9009"]

- name: A network that is routed, not translated
  barekernel.containers.bridge_network:
    name: routed
    addresses: [192.0.2.1/26]
    nat: false
    isolate: false
    mtu: 9000

- name: Remove a network that no container is on any more
  barekernel.containers.bridge_network:
    name: routed
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
  sample: ["create bridge lab0 (MAC 02:1f:6a:0c:55:9e, MTU 1500)", "add address 10.88.0.1/24 to bridge lab0"]
changes:
  description:
    - Each option of an existing object whose value differed, with before, after and how it is applied.
    - Empty when the object is made or removed.
  returned: always
  type: list
  elements: dict
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
network:
  description: The network as it lives after the task (in check mode before it), empty when there is none.
  returned: always
  type: dict
  contains:
    name:
      description: Name of the network.
      type: str
    bridge:
      description: Name of its bridge, null where there is none.
      type: str
    addresses:
      description: The bridge's addresses with their prefix.
      type: list
      elements: str
      sample: [10.88.0.1/24]
    gateways:
      description: The same addresses without their prefix, which containers use as gateways.
      type: list
      elements: str
      sample: [10.88.0.1]
    subnets:
      description: Their subnets.
      type: list
      elements: str
      sample: [10.88.0.0/24]
    mac:
      description: The bridge's MAC address, null where there is none.
      type: str
    mtu:
      description: The bridge's MTU in bytes, null where there is none.
      type: int
    up:
      description: Whether the bridge is up.
      type: bool
    nat:
      description: Whether the network's traffic leaves the host under the host's address.
      type: bool
    isolate:
      description: Whether other networks of this collection are kept from it.
      type: bool
    published:
      description: Published ports by the address they lead to.
      type: dict
      sample: {"10.88.0.50": ["8080:80/tcp"]}
    ports:
      description: Names of the interfaces on the bridge.
      type: list
      elements: str
      sample: [vethab12]
    sysctls:
      description: The host's kernel parameters that the network needs, as they are.
      type: dict
      sample: {net.ipv4.ip_forward: "1"}
"""

from ..module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._module import closure  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._module.arguments.bridge_network import bridge_network
from ..module_utils._module.runner import run
from ..module_utils._network.resource import NetworkResource


def main() -> None:
    """The network becomes as declared."""
    run(
        NetworkResource(),
        argument_spec=bridge_network(),
    )


if __name__ == "__main__":
    main()
