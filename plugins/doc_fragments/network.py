# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents module_utils/_module/arguments/network.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What a network is, but for its name and state."""

    DOCUMENTATION = r"""
options:
  addresses:
    description:
      - Addresses of the gateway, which is the host's bridge, each with its prefix length, e.g. V(10.88.0.1/24).
      - One for each subnet; with an IPv6 one the network has both families.
      - Unset or empty, the network is a switch, and containers on it get no addresses from this collection.
      - Addresses of the bridge that are not listed are removed. Applied live.
    type: list
    elements: str
  bridge:
    description:
      - Name of the bridge interface, at most 15 bytes.
      - Unset, the network's name where an interface can have it, else C(bk-) and a digest of the name.
      - Applied by recreation, refused while containers are attached.
    type: str
  isolate:
    description:
      - V(true) forwards nothing into the network but answers and published ports, and nothing from it to other
        networks of this collection. The host itself and members of the network always reach each other.
      - V(false) lets hosts with a route and other networks that are not isolated reach every port of its containers.
      - Applied live.
    type: bool
    default: true
  mac:
    description:
      - MAC address of the bridge.
      - Unset, one derived from the host and the network's name when the network is declared for the first time. It
        then stays. Applied live.
    type: str
  mtu:
    description:
      - MTU of the bridge in bytes, at least 1280 where O(addresses) has an IPv6 one, else 68. It does not follow its
        ports.
      - Applied live. From less than 1280 to more the bridge goes down for a moment, as IPv6 begins anew on it.
    type: int
    default: 1500
  nat:
    description:
      - Whether connections from the network to anywhere but networks of this collection bear the host's address.
      - V(false) needs routes to the network's subnets elsewhere. Applied live.
    type: bool
    default: true
  published:
    description:
      - Ports of the host that lead to addresses of the network, for what is not a container of this collection;
        M(barekernel.containers.ns_container) publishes its own.
      - They are reached from outside, from the host (on C(127.0.0.1) too) and from containers by any address of the
        host. The kernel cannot translate C(::1), which refuses connections at once, so that C(localhost) leads to
        C(127.0.0.1).
      - TCP connections outlive a change of their port. UDP clients are led anew with their next packet, which takes a
        kernel with C(nf_conntrack_netlink); without it there is a warning.
      - Unset, none. Applied live.
    type: list
    elements: dict
    suboptions:
      addresses:
        description: The target's addresses in the network, at most one of each family.
        type: list
        elements: str
        required: true
      ports:
        description:
          - Ports as C([ADDRESS:]HOST[-LAST]:TARGET[-LAST][/PROTOCOL]), e.g. V(8080:80), V(127.0.0.1:5300:53/udp) or
            V([fd00::1]:8000-8009:80-89).
          - Without an address the port is published on every address of the host, of both families.
          - An address that the host does not have is a warning, as it may come.
          - A port that a process listens on, or that is published already, is refused.
        type: list
        elements: str
        required: true
"""
