# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other hosts and containers to talk to: network namespaces on a bridge or behind an uplink, and sockets in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import struct
import subprocess
import time
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

#: Seconds. A handshake between namespaces of one machine takes far less, but links settle and packets are repeated.
PATIENCE = 20.0
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
        yield Member(ref, port, tuple(a.partition("/")[0] for a in addresses))
    finally:
        netlink_links.delete_link(port)
        netlink.forget(ref)
        os.close(fd)


def give_host(port: str, *addresses: str) -> None:
    """Addresses of the host itself, ready for use.

    The kernel takes an IPv6 address at once, but makes the route that keeps its packets at home a moment later
    (addrconf_dad_work): a connection begun before that looks for a neighbour of that address until it gives up.
    """
    for address in addresses:
        netlink_ip.add_address(port, address)
    deadline = time.monotonic() + PATIENCE
    while not all(_at_home(address.partition("/")[0]) for address in addresses):
        assert time.monotonic() < deadline, f"{addresses} did not become local"
        time.sleep(0.01)


def _at_home(address: str) -> bool:
    return subprocess.check_output(["ip", "route", "get", address], text=True).startswith("local ")


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
