# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container on its networks: what neighbours can do to it, what changes in one step, what goes back."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.resource import ContainerResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import predict
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import namespaces, netns, sysctl
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.kernel import Kernel
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import HOST, NetnsRef
from ansible_collections.barekernel.containers.plugins.module_utils._links import observe as netns_observe

from tests.waiting import until

from .module_process import run_module
from .segment import advertise_router, listening, reach
from .test_container import apply, info, parameters, run

NETS = {"bktesta": "10.88.1.1/24", "bktestb": "10.88.2.1/24"}
ONE, TWO = "bktest-one", "bktest-two"
BASE: dict[str, Any] = {"image": "bktest", "command": ["sleep", "1000000"], "stop_timeout": 0}


@pytest.fixture(scope="module", autouse=True)
def image_and_networks() -> Iterator[None]:
    build = {
        "directories": [{"path": path} for path in ("/etc", "/tmp")],
        "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}],
        "run": ["/bin/busybox --install -s /bin"],
    }
    apply("oci_image", name="bktest", build=build)
    for name, four in NETS.items():
        apply("bridge_network", name=name, addresses=[four, f"fd88:{name[-1]}::1/64"])
    yield
    for name in NETS:
        apply("bridge_network", name=name, state="absent")
    apply("oci_image", name="bktest", state="absent")


@pytest.fixture(autouse=True)
def none_stays() -> Iterator[None]:
    yield
    for name in (TWO, ONE):
        apply("ns_container", name=name, state="absent")


def declare(name: str, *networks: Any, **options: Any) -> list[str]:
    """Have it; the actions that it took."""
    attached = [{"name": n} if isinstance(n, str) else n for n in networks]
    return apply("ns_container", **{**BASE, "name": name, "networks": attached, **options}).plan.actions


def inside(name: str) -> NetnsRef:
    return NetnsRef.named(f"bk-{name}")


def shown(where: NetnsRef, *question: str) -> Any:
    with namespaces.inside_netns(where):
        return json.loads(subprocess.check_output(["ip", "-j", *question]) or "[]")


def test_a_router_advertisement_of_a_neighbour_changes_nothing() -> None:
    """RFC 4861; a container has CAP_NET_RAW. One that declares otherwise gets what it declares."""
    declare(ONE, "bktesta")
    declare(TWO, "bktesta")
    advertise_router(inside(ONE))
    time.sleep(0.5)
    assert [route["gateway"] for route in shown(inside(TWO), "-6", "route", "show", "default")] == ["fd88:a::1"]
    # Without it there is a second default route: the test would notice.
    declare(TWO, "bktesta", sysctls={"net.ipv6.conf.eth0.accept_ra": 1})
    assert sysctl.read("net/ipv6/conf/eth0/accept_ra", inside(TWO)) == "1"
    advertise_router(inside(ONE))
    time.sleep(0.5)
    assert len(shown(inside(TWO), "-6", "route", "show", "default")) == 2


def to_loopback(sender: NetnsRef, gateway: str, tags: int) -> None:
    """A datagram from a container to port 9999 of the host's 127.0.0.1, with that many VLAN tags that name no VLAN."""
    [link] = shown(sender, "link", "show", "dev", "eth0")
    [host] = shown(HOST, "link", "show", "dev", gateway)
    [four] = [a["local"] for a in shown(sender, "-4", "address", "show", "dev", "eth0")[0]["addr_info"]]
    data = struct.pack("!HHHH", 4000, 9999, 12, 0) + b"here"
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 64, 17, 0)
    head += socket.inet_aton(four) + socket.inet_aton("127.0.0.1")
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
    macs = b"".join(bytes.fromhex(each["address"].replace(":", "")) for each in (host, link))
    with namespaces.inside_netns(sender), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", 0))
        wire.send(macs + b"\x81\x00\x00\x00" * tags + b"\x08\x00" + head + data)


def arrives(server: socket.socket, sender: NetnsRef, tags: int) -> bool:
    """Whether such a datagram does."""
    to_loopback(sender, "bktesta", tags)
    try:
        return server.recv(100) == b"here"
    except TimeoutError:
        return False


@pytest.mark.parametrize("call", ["0", "1"])
def test_a_port_on_loopback_opens_no_door_while_the_rules_are_gone(call: str) -> None:
    """Another firewall flushed them, and nobody has run a task since."""
    bridged = "net/bridge/bridge-nf-call-iptables"
    before = sysctl.read(bridged)
    if before is not None:
        sysctl.write(bridged, call)
    there = {"name": "bktesta", "ports": ["127.0.0.1:8088:80"]}
    declare(ONE, there)
    with listening(inside(ONE), 80) as web:
        assert reach(HOST, "127.0.0.1", 8088, web) is not None
    [port] = [entry["ifname"] for entry in shown(HOST, "link", "show", "master", "bktesta")]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 9999))
        server.settimeout(0.2)
        assert sysctl.read("net/ipv4/conf/bktesta/route_localnet") == "1"
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        assert [arrives(server, inside(ONE), tags) for tags in range(4)] == [False] * 4
        # Without the filter they get through: the test would notice its absence.
        subprocess.run(["tc", "qdisc", "delete", "dev", port, "clsact"], check=True)
        assert [arrives(server, inside(ONE), tags) for tags in range(4)] == [True] * 4
        done = declare(ONE, there)
        assert f"{port} in the host: drop what comes in for 127.0.0.0/8 or from it" in done
        assert declare(ONE, there) == []
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        assert [arrives(server, inside(ONE), tags) for tags in range(4)] == [False] * 4
    if before is not None:
        sysctl.write(bridged, before)


def fdb(bridge: str) -> dict[str, set[str]]:
    listed = json.loads(subprocess.check_output(["bridge", "-j", "fdb", "show", "br", bridge]))
    found: dict[str, set[str]] = {}
    for entry in listed:
        if entry.get("master") == bridge and entry["state"] != "permanent":
            found.setdefault(entry["ifname"], set()).add(entry["mac"])
    return found


def test_a_bridge_learns_nothing_from_containers() -> None:
    """Neither a neighbour's address at another port nor a table full of addresses that nobody has."""
    declare(ONE, "bktesta")
    declare(TWO, "bktesta")
    macs = {name: info(name)["networks"]["bktesta"]["mac"] for name in (ONE, TWO)}
    known = fdb("bktesta")
    assert sorted(known.values(), key=sorted) == sorted(({mac} for mac in macs.values()), key=sorted)
    with namespaces.inside_netns(inside(ONE)), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("eth0", 0))
        stolen = bytes.fromhex(macs[TWO].replace(":", ""))
        for source in (stolen, *(b"\x02\x77\x77\x77" + number.to_bytes(2, "big") for number in range(300))):
            sender.send(b"\xff" * 6 + source + b"\x88\xb5" + bytes(46))
    assert fdb("bktesta") == known
    [port] = [port for port, behind in known.items() if behind == {macs[ONE]}]
    subprocess.run(["bridge", "link", "set", "dev", port, "learning", "on"], check=True)
    assert [a for a in declare(ONE, "bktesta") if "learn no MAC" in a]
    assert declare(ONE, {"name": "bktesta", "mac": "02:00:00:00:00:77"})
    assert fdb("bktesta")[port] == {"02:00:00:00:00:77"}
    assert run(TWO, "ping", "-c1", "-W2", ONE)["rc"] == 0


def claim(sender: NetnsRef, ip: str, mac: str) -> None:
    """An unasked answer to all (RFC 826): that IP is at the MAC address of who sends."""
    own, target = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(ip)
    answer = b"\x00\x01\x08\x00\x06\x04\x00\x02" + own + target + b"\xff" * 6 + target
    with namespaces.inside_netns(sender), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        for _attempt in range(3):
            raw.send(b"\xff" * 6 + own + b"\x08\x06" + answer)


def mac_of(where: NetnsRef, link: str, ip: str) -> str | None:
    found = [entry for entry in shown(where, "neigh", "show", "dev", link) if entry["dst"] == ip]
    return found[0].get("lladdr") if found else None


def test_nobody_takes_the_place_of_the_gateway_or_of_a_neighbour() -> None:
    """Host and container know each other for good; the rest of what happens to them is heard from us."""
    declare(ONE, {"name": "bktesta", "addresses": ["10.88.1.41"]})
    declare(TWO, {"name": "bktesta", "addresses": ["10.88.1.42"]})
    macs = {name: info(name)["networks"]["bktesta"]["mac"] for name in (ONE, TWO)}

    def known() -> list[str | None]:
        return [mac_of(inside(TWO), "eth0", "10.88.1.1"), mac_of(HOST, "bktesta", "10.88.1.42")]

    bridge = shown(HOST, "link", "show", "bktesta")[0]["address"]
    assert known() == [bridge, macs[TWO]]
    for ip in ("10.88.1.1", "10.88.1.42"):
        claim(inside(ONE), ip, macs[ONE])
        time.sleep(1.1)  # what is newer than locktime (arp(7)) is kept in any case
        claim(inside(ONE), ip, macs[ONE])
    assert known() == [bridge, macs[TWO]] and run(TWO, "ping", "-c1", "-W2", "10.88.1.1")["rc"] == 0
    # Without it the attack works: the test would notice.
    with namespaces.inside_netns(inside(TWO)):
        subprocess.run(["ip", "neigh", "flush", "dev", "eth0", "nud", "permanent"], check=True)
    assert run(TWO, "ping", "-c1", "-W2", "10.88.1.1")["rc"] == 0

    def deceived() -> bool:
        claim(inside(ONE), "10.88.1.1", macs[ONE])
        return known()[0] == macs[ONE]

    until("the gateway is believed elsewhere", deceived, known)
    assert declare(TWO, {"name": "bktesta", "addresses": ["10.88.1.42"]}) and known()[0] == bridge
    # Another MAC address of either, and another address.
    addresses = ["10.88.1.1/24", "fd88:a::1/64"]
    try:
        apply("bridge_network", name="bktesta", addresses=addresses, mac="02:00:00:00:0a:0a")
        assert known() == ["02:00:00:00:0a:0a", macs[TWO]]
        assert run(TWO, "ping", "-c1", "-W2", "10.88.1.1")["rc"] == 0
        declare(TWO, {"name": "bktesta", "addresses": ["10.88.1.43"], "mac": "02:00:00:00:00:99"})
        assert mac_of(HOST, "bktesta", "10.88.1.43") == "02:00:00:00:00:99"
        assert mac_of(HOST, "bktesta", "10.88.1.42") is None
        declare(TWO, "bktestb")
        assert mac_of(HOST, "bktesta", "10.88.1.43") is None
        address = info(TWO)["networks"]["bktestb"]["addresses"][0].partition("/")[0]
        assert mac_of(HOST, "bktestb", address)
        apply("ns_container", name=TWO, state="absent")
        assert mac_of(HOST, "bktestb", address) is None
    finally:
        apply("bridge_network", name="bktesta", addresses=addresses, mac=bridge)


A: dict[str, Any] = {"name": "bktesta"}
B: dict[str, Any] = {"name": "bktestb"}
STEPS: list[list[dict[str, Any]]] = [
    [A, B],
    [B, A],
    [A, B],
    [B],
    [A],
    [B, A],
    [{**B, "interface": "eth1"}, {**A, "interface": "eth0"}],
    [{**B, "interface": "lan0"}, {**A, "interface": "eth1"}],
    [A, {**B, "interface": "wan0"}],
    [],
    [A],
]


@pytest.mark.parametrize("steps", [STEPS, STEPS[:3]], ids=["live", "down"])
def test_names_and_routes_of_its_links_swap_in_one_step(steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs, also where the kernel renames only what is down."""
    if steps is not STEPS:
        monkeypatch.setattr(netns_observe, "_LIVE_RENAME", (99,))
    declare(ONE)
    pid = info(ONE)["pid"]
    gateways = {"bktesta": ("10.88.1.1", "fd88:a::1"), "bktestb": ("10.88.2.1", "fd88:b::1")}
    for number, networks in enumerate(steps):
        declare(ONE, *networks)
        links = {link["ifname"] for link in shown(inside(ONE), "link")} - {"lo"}
        assert links == {n.get("interface", f"eth{i}") for i, n in enumerate(networks)}, (number, links)
        for which, version in enumerate(("-4", "-6")):
            routes = [route["gateway"] for route in shown(inside(ONE), version, "route", "show", "default")]
            assert routes == [gateways[n["name"]][which] for n in networks[:1]], (number, routes)
            for gateway in routes:
                assert run(ONE, "ping", "-c1", "-W2", gateway)["rc"] == 0
    assert info(ONE)["pid"] == pid


def test_a_swap_that_was_killed_half_way_is_completed() -> None:
    declare(ONE, A, B)
    resource = ContainerResource()
    desired = resource.desired(parameters("ns_container", {**BASE, "name": ONE, "networks": [B, A]}))
    operations = [o for o in predict(resource, desired).plan.operations if "rename" in o.describe()]
    assert len(operations) == 4
    operations[0].execute(Kernel())
    declare(ONE, A, B)
    operations[0].execute(Kernel())
    assert declare(ONE, B, A)
    assert {link["ifname"] for link in shown(inside(ONE), "link")} == {"lo", "eth0", "eth1"}


def test_what_others_set_in_it_stays_and_ours_goes() -> None:
    """A VPN, keepalived, a routing daemon: with marks of their own or with none."""
    declare(ONE, {**A, "addresses": ["10.88.1.30"]})
    with namespaces.inside_netns(inside(ONE)):
        for command in (
            "address add 10.88.1.99/32 dev eth0",
            "address add fd88:a::99/128 dev eth0",
            "route add 192.0.2.0/24 via 10.88.1.1",
            "route add 198.51.100.0/24 via 10.88.1.1 proto ospf",
            "link add wg0 up type bridge",
            "address add 10.99.0.1/24 dev wg0",
        ):
            subprocess.run(["ip", *command.split()], check=True)
    assert declare(ONE, {**A, "addresses": ["10.88.1.30"]}) == []
    declare(ONE, {**A, "addresses": ["10.88.1.31"]})
    there = {a["local"] for link in shown(inside(ONE), "addr", "show", "dev", "eth0") for a in link["addr_info"]}
    assert {"10.88.1.31", "10.88.1.99", "fd88:a::99"} < there and "10.88.1.30" not in there
    routes = {route["dst"] for route in shown(inside(ONE), "route", "show")}
    assert {"default", "192.0.2.0/24", "198.51.100.0/24", "10.99.0.0/24"} <= routes
    declare(ONE, A, B)
    declare(ONE, B)
    assert "default" in {route["dst"] for route in shown(inside(ONE), "route", "show")}


def test_a_parameter_that_is_declared_no_longer_goes_back() -> None:
    """The namespace outlives the process that was started with it."""
    names = {"net.core.somaxconn": 77, "net.ipv4.conf.eth0.log_martians": 1, "net/ipv6/conf/eth0/accept_ra": 1}

    def live() -> list[str | None]:
        return [sysctl.read(name, inside(ONE)) for name in names]

    declare(ONE, A)
    before = live()
    declare(ONE, A, sysctls=names)
    assert live() == ["77", "1", "1"]
    declare(ONE, A, sysctls={"net.core.somaxconn": 77}, state="stopped")
    assert live() == ["77", *before[1:]]
    declare(ONE, A)
    assert live() == before


SWITCHES = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding")


@pytest.mark.parametrize("switch", SWITCHES)
def test_forwarding_that_is_declared_otherwise_leaves_its_network_quiet(switch: str) -> None:
    """inet_forward_change(): the kernel turns redirects on when it turns forwarding off."""
    names = (switch, "net/ipv4/conf/all/accept_redirects", "net/ipv4/conf/eth0/forwarding")

    def live() -> list[str | None]:
        return [sysctl.read(name, inside(ONE)) for name in names]

    declare(ONE, "bktesta", sysctls={switch: 0})
    assert live() == ["0", "0", "0"]
    for declared in ({switch: 1}, {switch: 0}, {switch: 1, "net.ipv4.conf.eth0.forwarding": 0}, {}):
        declare(ONE, "bktesta", sysctls=declared)
        on = str(declared.get(switch, 0))
        assert live() == [on, "0", str(declared.get("net.ipv4.conf.eth0.forwarding", on))]
        assert declare(ONE, "bktesta", sysctls=declared) == []


@pytest.fixture
def a_host_that_forwards() -> Iterator[None]:
    """A new network namespace begins with its parameters of IPv4 (net.core.devconf_inherit_init_net)."""
    before = sysctl.read(SWITCHES[0])
    sysctl.write(SWITCHES[0], "1")
    yield
    sysctl.write(SWITCHES[0], before or "0")


@pytest.mark.usefixtures("a_host_that_forwards")
def test_a_new_container_that_does_not_forward_where_the_host_does() -> None:
    declare(ONE, "bktesta", sysctls={SWITCHES[0]: 0})
    assert sysctl.read("net/ipv4/conf/all/accept_redirects", inside(ONE)) == "0"


OWNERS: tuple[dict[str, Any], ...] = ({}, {"namespaces": {"user": "host"}}, {})


def answers(name: str, *networks: str) -> None:
    """Its published port leads to it, and its gateways answer."""
    with listening(inside(name), 80) as web:
        assert reach(HOST, "127.0.0.1", 8088, web) is not None
    for network in networks:
        assert run(name, "ping", "-c", "1", "-W", "2", NETS[network].partition("/")[0])["rc"] == 0


def test_another_owner_of_its_namespaces_is_another_namespace_with_all_that_is_in_it() -> None:
    """Parameters and neighbours of the links that go, too; what it is not on any more is forgotten."""
    there = {"name": "bktesta", "ports": ["127.0.0.1:8088:80"], "addresses": ["10.88.1.30"]}
    quiet = {"net.ipv6.conf.eth0.accept_ra": 1, "net.core.somaxconn": 77}
    declare(ONE, there, "bktestb", sysctls=quiet)
    for owner in OWNERS[1:]:
        before = namespaces.netns_identity(inside(ONE))
        done = declare(ONE, there, "bktestb", **owner)
        assert f"delete netns bk-{ONE}" in done
        assert namespaces.netns_identity(inside(ONE)) != before
        answers(ONE, "bktesta", "bktestb")
        assert {sysctl.read(f"net/ipv6/conf/{link}/accept_ra", inside(ONE)) for link in ("eth0", "eth1")} == {"0"}
        assert sysctl.read("net/core/somaxconn", inside(ONE)) != "77"
    given = {**BASE, "name": ONE, "networks": [there, {"name": "bktestb"}], **OWNERS[1]}
    result = run_module("stack", {"name": "bktest", "containers": [given]})
    assert not result.get("failed"), result
    answers(ONE, "bktesta", "bktestb")
    run_module("stack", {"name": "bktest", "state": "absent"})
    declare(ONE, there, "bktestb")
    declare(ONE, there, **OWNERS[1])
    assert not [e for e in shown(HOST, "neigh", "show", "nud", "permanent", "dev", "bktestb") if e["dst"][:2] == "10"]


def test_one_with_another_owner_that_cannot_start_goes_back(tmp_path: Path) -> None:
    """The namespaces of before are gone by then: it gets such ones again, with the links as declared."""
    script = tmp_path / "roots"
    script.write_bytes(b"#!/bin/sh\nexec sleep 1000000\n")
    script.chmod(0o700)
    fails = {"user": "7", "command": ["/opt/roots"], "mounts": [{"source": str(script), "target": "/opt/roots"}]}
    there = {"name": "bktesta", "ports": ["127.0.0.1:8088:80"]}
    for old, new in zip(OWNERS, OWNERS[1:]):
        declare(ONE, there, "bktestb", **old)
        before = netns.observe(f"bk-{ONE}")
        for as_stack in (False, True):
            given = {**BASE, "name": ONE, "networks": [there, {"name": "bktestb"}], **fails, **new}
            if as_stack:
                result = run_module("stack", {"name": "bktest", "containers": [given]})
            else:
                result = run_module("ns_container", given)
            assert result["failed"] and "Permission denied" in result["msg"], result
            assert "could not be taken back" not in result["msg"]
            assert info(ONE)["status"] == "running"
            again = netns.observe(f"bk-{ONE}")
            assert before is not None and again is not None and again.idmap == before.idmap
            answers(ONE, "bktesta", "bktestb")
        given = {**BASE, "name": ONE, "networks": [there, {"name": "bktestb"}], **old}
        assert run_module("ns_container", given)["actions"] == []
    run_module("stack", {"name": "bktest", "state": "absent"})


def names_in(name: str) -> list[str]:
    """/etc/hosts of a container without what every one has."""
    return run(name, "cat", "/etc/hosts")["stdout"].splitlines()[2:]


NAMED: list[tuple[str, dict[str, Any]]] = [
    ("no network", {}),
    ("the host's network", {"namespaces": {"network": "host"}}),
    ("the host's name", {"namespaces": {"network": "host", "uts": "host", "user": "host"}}),
    ("a network", {"networks": [{"name": "bktesta"}]}),
    ("another's network", {"namespaces": {"network": f"container:{ONE}", "user": "private"}}),
    ("another's network and name", {"namespaces": dict.fromkeys(("network", "uts", "user"), f"container:{ONE}")}),
]


@pytest.mark.parametrize("options", [n[1] for n in NAMED], ids=[n[0] for n in NAMED])
def test_a_container_knows_its_own_name(options: dict[str, Any]) -> None:
    declare(ONE, "bktesta")
    apply("ns_container", **{**BASE, "name": TWO, **options})
    for name in ("$(hostname)", TWO):
        # In the host's network it may not send, but it knows where to.
        assert run(TWO, "sh", "-c", f"ping -c1 -W2 {name} || true")["stdout"].startswith("PING "), names_in(TWO)


def test_a_sidecar_knows_whom_the_container_knows_whose_network_it_shares() -> None:
    shared = {"network": f"container:{ONE}"}
    declare(ONE, {"name": "bktesta", "addresses": ["10.88.1.21"], "aliases": ["db_main"]})
    declare(TWO, namespaces=shared)
    four = [line for line in names_in(TWO) if line.startswith("10.")]
    assert four == [f"10.88.1.21 {TWO}", f"10.88.1.21 {ONE} db_main"]
    third = "bktest-three"
    try:
        declare(third, {"name": "bktesta", "addresses": ["10.88.1.23"]})
        assert f"10.88.1.23 {third}" in names_in(TWO)
        declare(ONE, {"name": "bktesta", "addresses": ["10.88.1.22"]})
        assert f"10.88.1.22 {TWO}" in names_in(TWO)
    finally:
        apply("ns_container", name=third, state="absent")
    assert len(names_in(TWO)) == 4


def test_one_that_is_gone_is_absent_whatever_networks_the_task_names() -> None:
    """As a list of containers hands its entries on; the network stays for others."""
    assert declare(ONE, "bktesta")
    for _again in range(2):
        actions = declare(ONE, "bktesta", state="absent")
    assert actions == []


def test_a_port_on_an_address_that_the_host_does_not_have_is_a_warning() -> None:
    """It may come (a VPN, keepalived), so it is no error."""
    ports = ["127.0.0.9:8091:80", "10.88.1.1:8092:80", "192.0.2.77:8093:80", "[2001:db8::77]:8094:80", "8095:80"]
    network = {"name": "bktesta", "ports": ports}
    text = "this host does not have the address {}, so nothing arrives there until it has"

    def told(module: str, **options: Any) -> list[str]:
        return [w for w in apply(module, **options).plan.warnings if "does not have the address" in w]

    container = {**BASE, "name": ONE, "networks": [network]}
    for _again in range(2):
        four, six = told("ns_container", **container)
        assert four.startswith("networks[0].ports[2]: '192.0.2.77:8093:80/tcp': " + text.format("192.0.2.77")), four
        assert six.startswith("networks[0].ports[3]: '[2001:db8::77]:8094:80/tcp': "), six
    subprocess.run(["ip", "route", "add", "local", "192.0.2.77", "dev", "lo"], check=True)
    try:
        assert len(told("ns_container", **container)) == 1
    finally:
        subprocess.run(["ip", "route", "del", "local", "192.0.2.77", "dev", "lo"], check=True)
    published = [{"addresses": ["10.88.9.2"], "ports": ["10.88.9.1:8096:80", "192.0.2.78:8097:80"]}]
    try:
        made = {"name": "bktestc", "addresses": ["10.88.9.1/24"], "published": published}
        assert told("bridge_network", **made) == [
            f"published[0].ports[1]: '192.0.2.78:8097:80/tcp': {text.format('192.0.2.78')}; leave the address out to "
            "publish on all"
        ]
    finally:
        apply("bridge_network", name="bktestc", state="absent")
