# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other hosts and containers to talk to: network namespaces on a bridge or behind an uplink, and sockets in them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (
    namespaces,
    netlink,
    netlink_ip,
    netlink_links,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import HOST, NetnsRef
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netlink_ip import Route

from tests.waiting import PATIENCE, until

#: Seconds until what is dropped counts as dropped.
DROPPED = 1.5


@dataclass(frozen=True)
class Member:
    """A namespace with ``eth0``; ``port`` is the other end, on the host."""

    netns: NetnsRef
    port: str
    addresses: tuple[str, ...]


@contextlib.contextmanager
def member(port: str, addresses: tuple[str, ...], bridge: str = "", gateways: tuple[str, ...] = ()) -> Iterator[Member]:
    """A namespace of its own joined to the host by a veth pair, whose end there is a hairpin port of the bridge."""
    fd = _new_netns()
    ref = NetnsRef.at(f"/proc/self/fd/{fd}")
    try:
        netlink_links.create_veth((HOST, port, _mac(port, 0), None), (ref, "eth0", _mac(port, 1), None))
        netlink_links.set_link("lo", ref, up=True)
        if bridge:
            netlink_links.set_link(port, master=bridge)
            netlink_links.set_port(port, hairpin=True)
        netlink_links.set_link(port, up=True)
        for address in addresses:
            netlink_ip.add_address("eth0", address, ref)
        netlink_links.set_link("eth0", ref, up=True)
        for gateway in gateways:
            netlink_ip.replace_route("eth0", Route("::/0" if ":" in gateway else "0.0.0.0/0", gateway), ref)
        until_usable(port, bridge)
        until_usable("eth0", addresses=addresses, netns=ref)
        yield Member(ref, port, tuple(a.partition("/")[0] for a in addresses))
    finally:
        netlink_links.delete_link(port)
        netlink.forget(ref)
        os.close(fd)


def give_host(port: str, *addresses: str) -> None:
    """Addresses of the host itself, ready for use."""
    for address in addresses:
        netlink_ip.add_address(port, address)
    until_usable(port, addresses=addresses)


def until_usable(link: str, bridge: str = "", addresses: tuple[str, ...] = (), netns: NetnsRef = HOST) -> None:
    """Until packets go out and come in there: what the kernel does a moment after it was told has been done.

    A carrier is acted upon later (linkwatch_do_dev): until then a port of a bridge does not forward, no queue takes
    packets, and no address of the link has routes. The route that keeps packets to an IPv6 address at home comes later
    still (addrconf_dad_work): a connection begun before looks for a neighbour of that address until it gives up.
    """

    def shown(*question: str) -> str:
        with namespaces.inside_netns(netns):
            return subprocess.run(["ip", *question], capture_output=True, text=True, check=False).stdout

    def is_up(name: str) -> bool:
        [found] = json.loads(shown("-j", "-d", "link", "show", "dev", name))
        port = found.get("linkinfo", {}).get("info_slave_data", {})
        return found["operstate"] == "UP" and port.get("state", "forwarding") == "forwarding"

    def at_home(address: str) -> bool:
        return shown("route", "get", address.partition("/")[0]).startswith("local ")

    for name in (link, bridge) if bridge else (link,):
        until(f"{name} is up", lambda: is_up(name), lambda: shown("-d", "link"))  # noqa: B023
    until(
        f"{addresses} are local", lambda: all(map(at_home, addresses)), lambda: shown("route", "show", "table", "all")
    )


def until_quiet(netns: NetnsRef = HOST) -> None:
    """Until no address is being looked for on the links, which changes addresses and routes when it ends.

    Where there is no carrier it does not begin; where there is one, see until_usable.
    """

    def looked_for() -> list[str]:
        with namespaces.inside_netns(netns):
            said = subprocess.check_output(["ip", "-j", "-6", "addr", "show", "tentative"])
        return [link["ifname"] for link in json.loads(said) if link and "LOWER_UP" in link["flags"]]

    until("the end of duplicate address detection", lambda: not looked_for(), looked_for)


def _mac(port: str, end: int) -> str:
    digest = hashlib.sha256(port.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (2, end, *digest[:4]))


def _new_netns() -> int:
    home = namespaces.open_netns(HOST)
    try:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        try:
            return namespaces.open_netns(HOST)
        finally:
            namespaces.setns(home, namespaces.CLONE_NEWNET)
    finally:
        os.close(home)


@contextlib.contextmanager
def listening(netns: NetnsRef, port: int, address: str = "::") -> Iterator[socket.socket]:
    """A TCP server, of both families unless an address is given."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespaces.inside_netns(netns):
        server = socket.create_server((address, port), family=family, dualstack_ipv6=address == "::")
    server.settimeout(PATIENCE)
    with server:
        yield server


def blocked(netns: NetnsRef, address: str, port: int, server: socket.socket) -> bool:
    """Whether nothing gets through."""
    return reach(netns, address, port, server, DROPPED) is None


def reach(netns: NetnsRef, address: str, port: int, server: socket.socket, patience: float = PATIENCE) -> str | None:
    """The caller's address as the server sees it after bytes have come back, None where nothing gets through."""
    try:
        with namespaces.inside_netns(netns):
            caller = socket.create_connection((address, port), timeout=patience)
    except OSError:
        return None
    with caller:
        answered, peer = server.accept()
        with answered:
            answered.sendall(b"hello")
            assert caller.recv(16) == b"hello"
    return str(peer[0]).removeprefix("::ffff:")


def advertise_router(netns: NetnsRef, lifetime: int = 1800) -> None:
    """A router advertisement (RFC 4861, 4.2) to all nodes on eth0."""
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0)
    with namespaces.inside_netns(netns), socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sender.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
