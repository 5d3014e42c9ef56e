# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in module_utils/_module/arguments/veth.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  namespaces:
    description:
      - Named network namespaces to have, with loopback up. Those that O(ends[].netns) names need not be repeated
        here,
        unless they are to have an owner or sysctls.
      - A name that exists and was not made by this collection is refused here; as O(ends[].netns) it is used as it
        is.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name, as C(ip netns) shows it.
        type: str
        required: true
      owner:
        description:
          - Makes the namespace owned by a new user namespace, in which IDs from 0 on are the host's from
            O(namespaces[].owner.host_id)
            on. Root of a container with that user namespace can then configure it.
          - Unset, a new namespace is owned by the host, and the owner of an existing one does not matter. The owner
            never
            changes; another one is refused.
        type: dict
        suboptions:
          host_id:
            description: The host's ID that is 0 inside.
            type: int
            required: true
          size:
            description: How many IDs.
            type: int
            default: 65536
      sysctls:
        description:
          - Kernel parameters of the namespace, C(net.*) only, set in this order. Unset, none. Applied live.
          - One that a task has set and that is declared no longer goes back to what it was, unless something else has
            changed it since.
        type: dict
  ends:
    description:
      - The two ends of the veth pair. Unset or empty, there is no pair and only O(namespaces) are made.
      - An end is looked for by the mark in its alias, so it is found under another name or in another namespace and
        put
        back, and a new name or place is a change and not a second pair.
      - Of O(ends[].netns), O(ends[].path), O(ends[].pid) and O(ends[].container) give at most one; with none of them
        the end is on the host.
    type: list
    elements: dict
    suboptions:
      interface:
        description: The interface's name, at most 15 bytes. Applied live; before Linux 6.2 the link goes down for it.
        type: str
        required: true
      netns:
        description: Name of a network namespace, made when it does not exist. Applied live, by moving the end; the
          namespace that it was in stays.
        type: str
      path:
        description: Path of a network namespace, e.g. V(/proc/1234/ns/net) or a bind mount of one. It must exist.
        type: path
      pid:
        description: A process whose network namespace it is.
        type: int
      pid_start_time:
        description:
          - When that process began (field 22 of C(/proc/PID/stat)), as remembered from an earlier task. The task
            fails
            when the PID belongs to another process by now.
          - Unset, the start time is read when the task begins, so that at least no process that begins during the
            task is taken for it.
        type: int
      container:
        description:
          - Name of a container of this collection on the same host. It must exist, in check mode too.
        type: str
      mac:
        description:
          - MAC address. Applied live.
          - Unset, a new link gets one derived from the names of host and pair, and the one of an existing link stays.
        type: str
      mtu:
        description: MTU in bytes. Unset, 1500 for a new link, and that of an existing one stays. Applied live.
        type: int
      up:
        description: Whether the link is up. Routes are set only on a link that is up. Applied live.
        type: bool
        default: true
      bridge:
        description:
          - The bridge, in the same namespace, that the end is a port of. An empty string takes it out of its bridge.
          - Unset, that stays as it is. Applied live.
        type: str
      hairpin:
        description:
          - Whether the bridge sends packets back out of the port that they came in by. Unset, off for a new port.
            Applied
            live.
        type: bool
      isolated:
        description:
          - Whether the port talks only to ports that are not isolated. Unset, off for a new port. Applied live.
        type: bool
      addresses:
        description:
          - Addresses with prefix length, e.g. V(10.88.0.2/24) or V(fd88::2/64). One that another interface of the
            same namespace has is refused, unless it is link-local or a single host's (V(/32), V(/128)), and so is one
            that both ends name.
          - Unset, addresses are left alone; an empty list with O(exclusive=true) removes them. Link-local addresses
            that the
            kernel makes itself always stay. Applied live.
        type: list
        elements: str
      dad:
        description:
          - V(skip) makes IPv6 addresses usable at once.
          - V(wait) lets duplicate address detection run and waits for it while both ends are up; an address that
            someone
            else has is an error. Matters only when an address is added.
        type: str
        choices: [skip, wait]
        default: skip
      routes:
        description:
          - Routes through the interface. One to the same destination with the same metric in the same table is
            replaced in
            place. Unset, routes are left alone. Applied live.
          - A default route of the host itself is refused.
        type: list
        elements: dict
        suboptions:
          to:
            description: The destination, e.g. V(10.0.0.0/8), or V(default). One that another interface of the namespace
              reaches in the same table with the same metric is refused.
            type: str
            required: true
          via:
            description: The gateway. Unset, the destination is on the link.
            type: str
          metric:
            description: The lower wins. Unset, 0 for IPv4 and 1024 for IPv6, the kernel's own choice.
            type: int
          source:
            description: The address of the interface to send from. Unset, the kernel chooses.
            type: str
          table:
            description: The routing table.
            type: int
            default: 254
          onlink:
            description: The gateway is on the link although no address's network says so.
            type: bool
            default: false
      sysctls:
        description:
          - Kernel parameters in the end's namespace, C(net.*) only, set in this order before the link goes up, e.g.
            V(net.ipv4.conf.eth0.forwarding). On the host only those of the interface itself. Unset, none. Applied
            live. One that is declared no longer goes back as with O(namespaces[].sysctls).
          - Before anything is made, names are looked up and numbers checked, for a namespace that is yet to be made
            on the host.
          - Numbers, port lists, masks and addresses are compared by what they mean, as the kernel shows them in its own
            words. As for the kernel, V(0x10) is hexadecimal and V(010) octal. Of a parameter of several numbers those
            that are not given stay.
        type: dict
      impairment:
        description:
          - What the end does to packets that it sends. A O(ends[].impairment.rate) alone is done by C(tbf), anything
            else by
            C(netem); where the kernel lacks it the task fails before anything is changed.
          - Unset, what is there stays, unless a task has declared it before and it is declared no longer; an empty
            dictionary removes it. Applied live.
        type: dict
        suboptions:
          delay:
            description: How long each packet waits, e.g. V(10ms), V(1.5s) or V(250us).
            type: str
          jitter:
            description: How much the delay varies. Needs a delay.
            type: str
          delay_correlation:
            description: How much a packet's delay depends on the one before, in percent. Needs a jitter.
            type: str
          loss:
            description: The share of packets lost, e.g. V(0.5%).
            type: str
          loss_correlation:
            description: How much a loss depends on the one before, in percent.
            type: str
          duplicate:
            description: The share of packets sent twice.
            type: str
          corrupt:
            description: The share of packets with a wrong bit.
            type: str
          reorder:
            description: The share of packets sent at once, before those that wait. Needs a delay.
            type: str
          reorder_correlation:
            description: How much that depends on the packet before, in percent.
            type: str
          rate:
            description: The most that is sent, in the units of C(tc), e.g. V(10mbit), V(512kbit) or V(1.5gbit).
            type: str
          burst:
            description:
              - Bytes that may be sent at once, for a rate alone. Unset, a hundredth of a second's worth, at least
                65536.
            type: int
          limit:
            description:
              - Packets that may wait in C(netem), at least 1. Unset, 1000. Goes with something else that C(netem) does.
            type: int
  exclusive:
    description:
      - Whether addresses and routes (through the end, in any table) that were set by hand are removed from an end that
        names some or an empty list. A default route of the host stays.
      - In any case those go that this collection has set and that are declared no longer, known by the protocol number
        107. Before Linux 5.18 an address has no such number; there, such an address stays with V(false).
      - What another program has marked as its own always stays, such as a route with the protocol of a routing daemon
        or DHCP client, and an address with a protocol, a label or C(noprefixroute).
    type: bool
    default: true
"""
