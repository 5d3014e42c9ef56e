# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network is for: packets on the real kernel, through NAT and published ports, past isolation and firewalls."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Outcome, converge
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (
    namespaces,
    netlink,
    netlink_ip,
    pyroute2_parts,
    sysctl,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import HOST, NetnsRef
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netlink_ip import Route
from ansible_collections.barekernel.containers.plugins.module_utils._network.resource import NetworkResource

from .segment import DROPPED, PATIENCE, Member, blocked, give_host, listening, member, reach

R = NetworkResource()
LAB: dict[str, Any] = {
    "name": "lab0",
    "state": "present",
    "addresses": ["10.88.0.1/24", "fd88::1/64"],
    "published": [
        {"addresses": ["10.88.0.2", "fd88::2"], "ports": ["8080:80", "127.0.0.1:8081:80", "9000-9003:80-83"]}
    ],
}
OTHER: dict[str, Any] = {"name": "lab1", "state": "present", "addresses": ["10.89.0.1/24", "fd89::1/64"]}


def make(*networks: dict[str, Any], **options: Any) -> Outcome:
    outcomes = [converge(R, R.desired({**network, **options})) for network in networks or (LAB,)]
    return outcomes[-1]


@pytest.fixture(autouse=True)
def networks_go() -> Iterator[None]:
    yield
    for name in [p.stem for p in Path("/var/lib/barekernel/networks").glob("*.json")]:
        converge(R, R.desired({"name": name, "state": "absent", "force": True}))


@dataclass(frozen=True)
class Place:
    """web and client are on lab0, third on lab1, outside is another host behind up0."""

    web: Member
    client: Member
    third: Member
    outside: Member


@pytest.fixture
def place() -> Iterator[Place]:
    make(LAB, OTHER)
    with contextlib.ExitStack() as stack:

        def on(bridge: str, net: int, host: int) -> Member:
            four, six = f"10.{net}.0", f"fd{net}:"
            addresses = (f"{four}.{host}/24", f"{six}:{host}/64")
            return stack.enter_context(member(f"v{net}x{host}", addresses, bridge, (f"{four}.1", f"{six}:1")))

        web, client, third = on("lab0", 88, 2), on("lab0", 88, 3), on("lab1", 89, 2)
        outside = stack.enter_context(member("up0", ("192.0.2.2/24", "2001:db8::2/64")))
        give_host("up0", "192.0.2.1/24", "2001:db8::1/64")
        yield Place(web, client, third, outside)


BRIDGE_NF = {"net.bridge.bridge-nf-call-iptables": "1", "net.bridge.bridge-nf-call-ip6tables": "1"}
STRICT = {"net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.default.rp_filter": "1"}
SETTINGS = {
    "plain": dict.fromkeys(BRIDGE_NF, "0"),
    # Bridged packets go through the IP hooks, as Docker and Kubernetes set it.
    "bridge-nf-call": BRIDGE_NF,
    "bridge-nf-call and strict rp_filter": {**BRIDGE_NF, **STRICT},
}


@pytest.fixture(params=SETTINGS.values(), ids=list(SETTINGS))
def bridge_nf(request: pytest.FixtureRequest) -> Iterator[None]:
    """Settings of hosts that change how packets go."""
    before = sysctl.read_many(tuple(request.param))
    for name, value in request.param.items():
        sysctl.write(name, value)
    yield
    for name, value in before.items():
        sysctl.write(name, value or "0")


def test_published_ports_are_reached_from_everywhere(bridge_nf: None, place: Place) -> None:
    seen = {}
    with listening(place.web.netns, 80) as web:
        for who, netns in (("host", HOST), ("outside", place.outside.netns), ("client", place.client.netns)):
            for address in ("192.0.2.1", "2001:db8::1", "10.88.0.1", "fd88::1"):
                # Another host knows no way to the addresses of our networks.
                if who != "outside" or address in ("192.0.2.1", "2001:db8::1"):
                    seen[who, address] = reach(netns, address, 8080, web)
        for address in ("192.0.2.1", "2001:db8::1", "10.88.0.1", "fd88::1"):
            seen["web", address] = reach(place.web.netns, address, 8080, web)
            seen["third", address] = reach(place.third.netns, address, 8080, web)
        seen["host", "127.0.0.1"] = reach(HOST, "127.0.0.1", 8080, web)
        seen["host", "127.0.0.1:8081"] = reach(HOST, "127.0.0.1", 8081, web)
    assert [key for key, peer in seen.items() if peer is None] == []
    # Who comes from outside keeps its address; who is on the same network is answered by the gateway.
    assert seen["outside", "192.0.2.1"] == "192.0.2.2" and seen["outside", "2001:db8::1"] == "2001:db8::2"
    assert seen["web", "192.0.2.1"] == seen["client", "192.0.2.1"] == seen["host", "127.0.0.1"] == "10.88.0.1"
    assert seen["web", "fd88::1"] == "fd88::1"


def test_a_range_leads_port_by_port(place: Place) -> None:
    for offset in (0, 3):
        with listening(place.web.netns, 80 + offset) as web:
            assert reach(place.outside.netns, "192.0.2.1", 9000 + offset, web) == "192.0.2.2"
            assert blocked(place.outside.netns, "2001:db8::1", 9003 - offset, web)


def test_ipv6_loopback_is_refused_at_once(place: Place) -> None:
    """The kernel drops the answers to a translated ::1. A client of "localhost" must not wait for them."""
    with listening(place.web.netns, 80), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("::1", 8080), timeout=PATIENCE)


def test_one_address_is_not_another(place: Place) -> None:
    with listening(place.web.netns, 80) as web:
        assert blocked(place.outside.netns, "192.0.2.1", 8081, web)
        assert blocked(HOST, "192.0.2.1", 8081, web)


def test_udp_is_published_too(place: Place) -> None:
    make(published=[{"addresses": ["10.88.0.2"], "ports": ["5300:53/udp"]}])
    with namespaces.inside_netns(place.web.netns):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("0.0.0.0", 53))
        server.settimeout(PATIENCE)
    for netns, address in ((place.outside.netns, "192.0.2.1"), (HOST, "127.0.0.1"), (place.web.netns, "10.88.0.1")):
        with namespaces.inside_netns(netns):
            caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        caller.settimeout(PATIENCE)
        with caller:
            caller.sendto(b"question", (address, 5300))
            question, peer = server.recvfrom(64)
            server.sendto(question + b"?", peer)
            assert caller.recv(64) == b"question?"
    server.close()


def udp_socket(netns: NetnsRef, port: int = 0) -> socket.socket:
    """Of both families."""
    with namespaces.inside_netns(netns):
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind(("::", port))
    made.settimeout(PATIENCE)
    return made


def ask(
    caller: socket.socket, address: str, servers: tuple[socket.socket, ...], patience: float = PATIENCE
) -> int | None:
    """Which of the servers gets what the caller sends to port 5300 of that address, and is heard; None for none."""
    caller.sendto(b"question", (address, 5300))
    ready, _writable, _exceptional = select.select(servers, [], [], patience)
    if not ready:
        return None
    question, peer = ready[0].recvfrom(64)
    ready[0].sendto(question + b"?", peer)
    assert caller.recv(64) == b"question?"
    return servers.index(ready[0])


@pytest.mark.parametrize(
    ("address", "on"),
    [
        ("::ffff:192.0.2.1", ""),
        ("2001:db8::1", ""),
        ("::ffff:192.0.2.1", "192.0.2.1:"),
        ("2001:db8::1", "[2001:db8::1]:"),
    ],
)
def test_udp_clients_that_keep_their_port_are_led_anew(place: Place, address: str, on: str) -> None:
    """Translation is decided for the first packet of a flow, and such a client has only one flow."""

    def publish(host: int) -> None:
        targets = [f"10.88.0.{host}", f"fd88::{host}"]
        make(published=[{"addresses": targets, "ports": [f"{on}5300:53/udp"]}])

    with contextlib.ExitStack() as stack:
        web, client = (stack.enter_context(udp_socket(m.netns, 53)) for m in (place.web, place.client))
        caller = stack.enter_context(udp_socket(place.outside.netns))
        assert ask(caller, address, (web, client), DROPPED) is None
        for number, host in ((0, 2), (1, 3), (0, 2)):
            publish(host)
            assert ask(caller, address, (web, client)) == number
        make(published=[])
        assert ask(caller, address, (web, client), DROPPED) is None


def flows() -> set[int]:
    """The numbers of all UDP flows over IPv4 that are tracked on this host."""
    conntrack = pyroute2_parts.conntrack()
    with conntrack.NFCTSocket() as handle:
        netlink.settle(handle)
        udp = conntrack.NFCTAttrTuple(proto=socket.IPPROTO_UDP)
        return {flow.get_attr("CTA_ID") for flow in handle.dump(tuple_orig=udp)}


def test_other_flows_stay(place: Place) -> None:
    """Through this host to the same port elsewhere, to other ports, and those that lead where they should."""
    published = [{"addresses": ["10.88.0.2"], "ports": ["5300-5301:53-54/udp"]}]
    make(published=published)
    with udp_socket(place.web.netns) as web, udp_socket(place.outside.netns) as outside:
        web.sendto(b"through", ("::ffff:192.0.2.2", 5300))
        outside.sendto(b"as published", ("::ffff:192.0.2.1", 5300))
        outside.sendto(b"another", ("::ffff:192.0.2.1", 5302))
        before = flows()
        assert len(before) == 3
        subprocess.run(["nft", "flush", "chain", "inet", "barekernel", "isolation"], check=True)
        assert make(published=published).changed  # the table is made anew
        make(published=[{"addresses": ["10.88.0.2"], "ports": ["5300:53/udp", "5301:55/udp"]}])
        assert flows() == before
        make(published=[{"addresses": ["10.88.0.2"], "ports": ["5301:55/udp"]}])
        assert len(before - flows()) == 1


def test_connections_outlive_that_their_port_is_published(place: Place) -> None:
    """TCP knows an end, unlike UDP, and a new connection is refused."""
    with listening(place.web.netns, 80) as server:
        with namespaces.inside_netns(place.outside.netns):
            caller = socket.create_connection(("192.0.2.1", 8080), timeout=PATIENCE)
        answered, _peer = server.accept()
        with caller, answered:
            make(published=[])
            caller.sendall(b"still there?")
            assert answered.recv(64) == b"still there?"
            assert blocked(place.outside.netns, "192.0.2.1", 8080, server)


def test_the_outside_is_reached_by_the_hosts_address(bridge_nf: None, place: Place) -> None:
    with listening(place.outside.netns, 90) as server:
        assert reach(place.web.netns, "192.0.2.2", 90, server) == "192.0.2.1"
        assert reach(place.web.netns, "2001:db8::2", 90, server) == "2001:db8::1"
        make(nat=False)
        assert blocked(place.web.netns, "192.0.2.2", 90, server)
        for subnet, via in (("10.88.0.0/24", "192.0.2.1"), ("fd88::/64", "2001:db8::1")):
            netlink_ip.replace_route("eth0", Route(subnet, via), place.outside.netns)
        assert reach(place.web.netns, "192.0.2.2", 90, server) == "10.88.0.2"
        assert reach(place.web.netns, "2001:db8::2", 90, server) == "fd88::2"


def test_members_reach_each_other_and_the_host_reaches_them(bridge_nf: None, place: Place) -> None:
    with listening(place.web.netns, 7777) as web:
        assert reach(place.client.netns, "10.88.0.2", 7777, web) == "10.88.0.3"
        assert reach(place.client.netns, "fd88::2", 7777, web) == "fd88::3"
        assert reach(HOST, "10.88.0.2", 7777, web) == "10.88.0.1"


def test_isolation(bridge_nf: None, place: Place) -> None:
    for subnet, via in (("10.88.0.0/24", "192.0.2.1"), ("fd88::/64", "2001:db8::1")):
        netlink_ip.replace_route("eth0", Route(subnet, via), place.outside.netns)
    with listening(place.web.netns, 7777) as web, listening(place.third.netns, 7777) as third:
        for address in ("10.88.0.2", "fd88::2"):
            assert blocked(place.third.netns, address, 7777, web)
            assert blocked(place.outside.netns, address, 7777, web)
        make(LAB, isolate=False)
        assert reach(place.outside.netns, "10.88.0.2", 7777, web) == "192.0.2.2"
        # The other network is still isolated, in both directions.
        assert blocked(place.third.netns, "10.88.0.2", 7777, web)
        assert blocked(place.web.netns, "10.89.0.2", 7777, third)
        make(OTHER, isolate=False)
        assert reach(place.third.netns, "10.88.0.2", 7777, web) == "10.89.0.2"
        assert reach(place.third.netns, "fd88::2", 7777, web) == "fd89::2"


def test_nobody_on_a_bridge_speaks_to_the_hosts_loopback(place: Place) -> None:
    """route_localnet, without which 127.0.0.1 could not reach published ports, must not open this door."""
    netns = place.client.netns
    send_loopback_out(netns, "10.88.0.1", "10.88.0.3")
    with listening(HOST, 9999, "127.0.0.1") as server:
        assert blocked(netns, "127.0.0.1", 9999, server)
        # Without the guard it works: the test would notice its absence.
        subprocess.run(["nft", "flush", "chain", "inet", "barekernel", "no_loopback_from_bridges"], check=True)
        assert reach(netns, "127.0.0.1", 9999, server) is not None


#: Published on which address of the host, and the addresses that then lead there.
PUBLISHED = {
    "": {"127.0.0.1", "192.0.2.1", "10.88.0.1", "2001:db8::1", "fd88::1"},
    "127.0.0.1:": {"127.0.0.1"},
    "0.0.0.0:": {"127.0.0.1", "192.0.2.1", "10.88.0.1"},
    "192.0.2.1:": {"192.0.2.1"},
    "[::]:": {"2001:db8::1", "fd88::1"},
    "[2001:db8::1]:": {"2001:db8::1"},
}
TARGETS = ("127.0.0.1", "192.0.2.1", "10.88.0.1", "::1", "2001:db8::1", "fd88::1")


def send_loopback_out(netns: NetnsRef, gateway: str, source: str) -> None:
    """Have a machine send to the gateway what it would keep to itself: packets to 127.0.0.1."""
    sysctl.write("net.ipv4.conf.eth0.route_localnet", "1", netns)
    with namespaces.inside_netns(netns):
        subprocess.run(["ip", "address", "flush", "dev", "lo"], check=True)
    netlink_ip.replace_route("eth0", Route("127.0.0.0/8", gateway, source=source), netns)


def connected(tries: dict[Any, tuple[NetnsRef, str, int]]) -> set[Any]:
    """Which of these connections (from where, to what) come about, all of them tried at once."""
    callers = {}
    with contextlib.ExitStack() as stack:
        for key, (netns, address, port) in tries.items():
            with namespaces.inside_netns(netns):
                caller = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            stack.enter_context(caller).setblocking(False)
            if caller.connect_ex((address, port)) in (0, errno.EINPROGRESS):
                callers[key] = caller
        waiting, found, deadline = dict(callers), set(), time.monotonic() + DROPPED
        while waiting and (left := deadline - time.monotonic()) > 0:
            _readable, done, _exceptional = select.select([], list(waiting.values()), [], left)
            for key in [key for key, caller in waiting.items() if caller in done]:
                if waiting.pop(key).getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.add(key)
    return found


def test_a_published_port_answers_on_its_address_and_on_no_other(bridge_nf: None, place: Place) -> None:
    """Every published address, every sender, every address that he may send to; 127.0.0.1 is the host's alone."""
    ports = [f"{on}{8001 + n}:80" for n, on in enumerate(PUBLISHED)]
    make(published=[{"addresses": ["10.88.0.2", "fd88::2"], "ports": ports}])
    senders = {"host": HOST, "itself": place.web.netns, "neighbour": place.client.netns}
    senders |= {"other network": place.third.netns, "host's network": place.outside.netns}
    netlink_ip.replace_route("eth0", Route("10.88.0.1/32", "192.0.2.1"), place.outside.netns)
    netlink_ip.replace_route("eth0", Route("fd88::1/128", "2001:db8::1"), place.outside.netns)
    for who, gateway in (("itself", "10.88.0.1"), ("neighbour", "10.88.0.1"), ("other network", "10.89.0.1")):
        source = {"itself": "10.88.0.2", "neighbour": "10.88.0.3", "other network": "10.89.0.2"}[who]
        send_loopback_out(senders[who], gateway, source)
    send_loopback_out(place.outside.netns, "192.0.2.1", "192.0.2.2")
    tries = {
        (on, who, target): (netns, target, 8001 + n)
        for n, on in enumerate(PUBLISHED)
        for who, netns in senders.items()
        for target in TARGETS
    }
    right = {
        (on, who, target)
        for on, who, target in tries
        if target in PUBLISHED[on] and (who == "host" or target != "127.0.0.1")
    }
    with listening(place.web.netns, 80):
        assert connected(tries) == right


def test_what_a_neighbour_of_the_host_sends_to_loopback_is_not_translated(place: Place) -> None:
    """It is translated before the kernel would drop it as a martian: without the guard it gets through."""
    send_loopback_out(place.outside.netns, "192.0.2.1", "192.0.2.2")
    attack = {"attack": (place.outside.netns, "127.0.0.1", 8081)}
    with listening(place.web.netns, 80):
        assert connected(attack) == set()
        unguarded = ["flush chain inet barekernel from_outside"]
        unguarded.append("add rule inet barekernel from_outside fib daddr type local jump published_ports")
        subprocess.run(["nft", "-f", "-"], input="\n".join(unguarded), text=True, check=True)
        assert connected(attack) == {"attack"}
        assert make().changed
        assert connected(attack) == set()


def localnet(bridge: str) -> str | None:
    return sysctl.read(f"net/ipv4/conf/{bridge}/route_localnet")


def test_loopback_leads_into_a_bridge_only_while_something_is_published_there(place: Place) -> None:
    """Else a rule of ours is all that keeps its members from the host's loopback; and rules are flushed by others."""
    assert (localnet("lab0"), localnet("lab1")) == ("1", "0")
    netns = place.client.netns
    send_loopback_out(netns, "10.88.0.1", "10.88.0.3")
    to = {"addresses": ["10.88.0.2", "fd88::2"]}
    for ports, leads in (
        (["192.0.2.1:80:80", "[::]:81:80"], "0"),
        (["80:80"], "1"),
        (["0.0.0.0:80:80"], "1"),
        ([], "0"),
    ):
        make(published=[{**to, "ports": ports}] if ports else [])
        assert localnet("lab0") == leads, ports
    with listening(HOST, 9999, "127.0.0.1") as server:
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        assert blocked(netns, "127.0.0.1", 9999, server)


def test_any_run_repairs_the_guard_of_all_networks(place: Place) -> None:
    netns = place.client.netns
    send_loopback_out(netns, "10.88.0.1", "10.88.0.3")
    with listening(HOST, 9999, "127.0.0.1") as server, listening(place.web.netns, 80) as web:
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        assert reach(netns, "127.0.0.1", 9999, server) is not None
        [action] = make(OTHER).plan.actions
        assert action.startswith("create the nftables table inet barekernel, add bridges lab1")
        assert action.endswith("for network/lab1, restore what is missing of network/lab0")
        assert blocked(netns, "127.0.0.1", 9999, server)
        assert reach(place.outside.netns, "192.0.2.1", 8080, web) == "192.0.2.2"
        subprocess.run(["nft", "delete", "element", "inet", "barekernel", "bridges", "{ lab0 }"], check=True)
        assert make(OTHER).plan.actions == ["nftables: restore what is missing of network/lab0"]
        assert not make(LAB).changed


SWITCH: dict[str, Any] = {"name": "switch", "state": "present"}


def test_a_network_without_addresses_is_a_switch() -> None:
    forwarding = sysctl.read("net.ipv4.ip_forward")
    network = make(SWITCH, addresses=[]).facts["network"]
    assert (network["addresses"], network["subnets"], network["up"]) == ([], [], True)
    assert not make(SWITCH, addresses=None).changed
    assert sysctl.read("net.ipv4.ip_forward") == forwarding
    with (
        member("v1", ("10.90.0.1/24",), "switch") as one,
        member("v2", ("10.90.0.2/24",), "switch") as two,
        listening(two.netns, 80) as server,
    ):
        assert reach(one.netns, "10.90.0.2", 80, server) == "10.90.0.1"
        make(SWITCH, addresses=["10.90.0.254/24"])
        assert reach(HOST, "10.90.0.2", 80, server) == "10.90.0.254"
        make(SWITCH, addresses=[])
        assert reach(one.netns, "10.90.0.2", 80, server) == "10.90.0.1"


def test_live_changes_keep_connections(place: Place) -> None:
    with listening(place.web.netns, 80) as server:
        with namespaces.inside_netns(place.outside.netns):
            caller = socket.create_connection(("192.0.2.1", 8080), timeout=PATIENCE)
        answered, _peer = server.accept()
        with caller, answered:
            make(mtu=1400, isolate=False, published=[{"addresses": ["10.88.0.2"], "ports": ["8080:80", "8443:443"]}])
            caller.sendall(b"still there?")
            assert answered.recv(64) == b"still there?"


DOCKER_LIKE = """\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 6000 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
"""
FIREWALLD_LIKE = """\
table inet firewalld {
  chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;
    ct state established,related accept
    reject with icmpx admin-prohibited
  }
}
"""


def foreign_rules() -> list[str]:
    """Every table in nftables but ours, with handles and without counters."""
    text = subprocess.run(["nft", "-a", "-s", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    tables = [part.strip() for part in ("\n" + text).split("\ntable ")]
    return [table for table in tables if table and not table.startswith("inet barekernel ")]


@pytest.fixture(params=["nft", "legacy"])
def docker_like(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """What makes the rules: iptables and ip6tables, which speak to nftables or to the kernel's older interface."""
    tools = (f"iptables-{request.param}", f"ip6tables-{request.param}")
    if request.param == "legacy" and subprocess.run([tools[0], "-S"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this kernel has no ip_tables")
    for tool in tools:
        rules = DOCKER_LIKE.replace("172.17.0.2", "[fd00::2]").replace("172.17.0.0/16", "fd00::/64")
        text = DOCKER_LIKE if tool == tools[0] else rules
        subprocess.run([f"{tool}-restore"], input=text, text=True, check=True)
    yield tools
    for tool in tools:
        for command in ("-t nat -F", "-t nat -X", "-F", "-X", "-P FORWARD ACCEPT"):
            subprocess.run([tool, *command.split()], check=True)
    Path("/run/xtables.lock").unlink(missing_ok=True)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        sysctl.write(name, "0")


def test_beside_iptables_rules_of_others(docker_like: tuple[str, str], place: Place) -> None:
    def rules() -> list[str]:
        listings = [[tool, "-t", table, "-S"] for tool in docker_like for table in ("filter", "nat")]
        return foreign_rules() + [subprocess.check_output(listing, text=True) for listing in listings]

    before = rules()
    assert "DOCKER-USER" in "".join(before)
    warnings = make(mtu=1400).plan.warnings
    assert len(warnings) == 2 and all("DOCKER-USER -i lab0 -j ACCEPT" in w and "lab0" in w for w in warnings)
    with listening(place.web.netns, 80) as web:
        # Nothing of ours may overrule a foreign drop; the host itself needs no forwarding.
        assert blocked(place.outside.netns, "192.0.2.1", 8080, web)
        assert reach(HOST, "127.0.0.1", 8080, web) == "10.88.0.1"
        assert rules() == before
        for tool in docker_like:
            for direction in ("-i", "-o"):
                advised = [tool, "-I", "DOCKER-USER", direction, "lab0", "-j", "ACCEPT"]
                subprocess.run(advised, check=True)
        assert make(mtu=1500).plan.warnings == ()
        assert reach(place.outside.netns, "192.0.2.1", 8080, web) == "192.0.2.2"
        assert reach(place.outside.netns, "2001:db8::1", 8080, web) == "2001:db8::2"
    before = rules()
    make(state="absent", force=True)
    warnings = make(OTHER, state="absent", force=True).plan.warnings
    assert rules() == before
    # Docker found forwarding on and relies on it: its networks must not die with our last one.
    assert sysctl.read("net.ipv4.ip_forward") == sysctl.read("net.ipv6.conf.all.forwarding") == "1"
    assert [w.split()[1] for w in warnings] == ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]


def test_beside_a_firewall_that_rejects_at_the_end(place: Place) -> None:
    subprocess.run(["nft", "-f", "-"], input=FIREWALLD_LIKE, text=True, check=True)
    try:
        before = foreign_rules()
        (warning,) = make(mtu=1400).plan.warnings
        assert "firewall-cmd" in warning and "inet firewalld filter_FORWARD" in warning
        with listening(place.web.netns, 80) as web:
            assert blocked(place.outside.netns, "192.0.2.1", 8080, web)
            for match in ("iifname", "oifname"):
                rule = ["nft", "insert", "rule", "inet", "firewalld", "filter_FORWARD", match, "lab0", "accept"]
                subprocess.run(rule, check=True)
            assert make(mtu=1500).plan.warnings == ()
            assert reach(place.outside.netns, "192.0.2.1", 8080, web) == "192.0.2.2"
        assert before != foreign_rules()
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "firewalld"], check=True)
