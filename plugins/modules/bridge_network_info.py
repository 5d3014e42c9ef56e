#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_network_info
short_description: Networks of a host as they live
version_added: 0.1.0
description:
  - Reads the networks made by M(barekernel.containers.bridge_network) from the live kernel.
extends_documentation_fragment:
  - barekernel.containers.attributes.info
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description: Name of the network. Unset, all networks of the host.
    type: str
"""

EXAMPLES = r"""
- name: All networks
  barekernel.containers.bridge_network_info:
  register: found

- name: One network
  barekernel.containers.bridge_network_info:
    name: lab0
"""

RETURN = r"""
networks:
  description:
    - The networks declared on the host, by name, each as M(barekernel.containers.bridge_network) returns it.
    - Empty when there is none of that name.
  returned: always
  type: list
  elements: dict
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
from ..module_utils._module.runner import run_info
from ..module_utils._network.resource import NetworkInfo


def main() -> None:
    """Read only."""
    run_info(NetworkInfo(), argument_spec={"name": {"type": "str"}})


if __name__ == "__main__":
    main()
