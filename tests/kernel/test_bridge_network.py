# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks on the real kernel: how they come, change and go."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Outcome, converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._core.observe_world import World
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (
    netlink_ip,
    netlink_links,
    netlink_messages,
    nft,
    sysctl,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.kernel import Kernel
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import HOST
from ansible_collections.barekernel.containers.plugins.module_utils._network.nft_table import as_template
from ansible_collections.barekernel.containers.plugins.module_utils._network.publish import parse_ports, plan_publish
from ansible_collections.barekernel.containers.plugins.module_utils._network.recorded import read_network
from ansible_collections.barekernel.containers.plugins.module_utils._network.records import Published
from ansible_collections.barekernel.containers.plugins.module_utils._network.resource import (
    NetworkInfo,
    NetworkResource,
    desired_from_record,
)

from tests.kernels import DIED, Dying, in_child
from tests.waiting import until

from .segment import advertise_router, listening, member, until_quiet

R = NetworkResource()
LAB = {"name": "lab0", "state": "present", "addresses": ["10.88.0.1/24", "fd88::1/64"]}
RECORD = Path("/var/lib/barekernel/sysctls.json")


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make(**options: Any) -> Outcome:
    """Predict, apply, find the prediction true and nothing left to do."""
    desired = R.desired({**LAB, **options})
    predicted = predict(R, desired)
    outcome = converge(R, desired)
    assert predicted.plan.actions == outcome.plan.actions
    assert predict(R, desired).plan.operations == ()
    return outcome


@pytest.fixture(autouse=True)
def networks_go() -> Iterator[None]:
    yield
    for name in [p.stem for p in Path("/var/lib/barekernel/networks").glob("*.json")]:
        converge(R, R.desired({"name": name, "state": "absent", "force": True}))


def test_a_network_comes_and_goes() -> None:
    before = run("nft", "list", "ruleset")
    outcome = make(published=[{"addresses": ["10.88.0.5"], "ports": ["8080:80", "127.0.0.1:53:53/udp"]}])
    assert outcome.changed and outcome.plan.before == {}
    live = netlink_links.link("lab0")
    assert live is not None and live.kind == "bridge" and live.up and live.alias == "barekernel:network/lab0"
    # NET_ADDR_SET: udev's MACAddressPolicy=persistent leaves such an address alone (systemd.link(5)).
    assert sysfs("lab0", "addr_assign_type") == "3"
    assert {**outcome.plan.after, "ports": [], "gateways": ["10.88.0.1", "fd88::1"]}.items() <= outcome.facts[
        "network"
    ].items()
    assert NetworkInfo().gather({"name": None})["networks"] == [outcome.facts["network"]]
    assert NetworkInfo().gather({"name": "other"})["networks"] == []
    assert make(state="absent").changed
    assert not make(state="absent").changed
    assert run("nft", "list", "ruleset") == before


def sysfs(link: str, attribute: str) -> str:
    """From a sysfs of this network namespace: the machine's own shows the machine's links."""
    script = f"mount -t sysfs sysfs /sys && cat /sys/class/net/{link}/{attribute}"
    return run("unshare", "--mount", "sh", "-c", script).strip()


CHANGES = [
    ("mtu", {"mtu": 1400}),
    ("nat", {"nat": False}),
    ("isolate", {"isolate": False}),
    ("mac", {"mac": "02:00:00:00:00:77"}),
    ("addresses", {"addresses": ["10.88.0.254/24", "fd88::1/64"]}),
    ("addresses", {"addresses": ["10.88.0.1/25", "fd88::1/80"]}),
    ("addresses", {"addresses": ["10.99.0.1/24"]}),
    ("published", {"published": [{"addresses": ["fd88::5"], "ports": ["80:80"]}]}),
    ("bridge", {"bridge": "other0"}),
]


@pytest.mark.parametrize(("option", "change"), CHANGES)
def test_one_changed_value_is_one_change(option: str, change: dict[str, Any]) -> None:
    make()
    index = netlink_links.link("lab0").index
    outcome = make(**change)
    changed = {c.option: c.how for c in outcome.plan.changes if c.option != "sysctls"}
    assert changed == {option: "recreate" if option == "bridge" else "live"}
    if option != "bridge":
        assert netlink_links.link("lab0").index == index, "the bridge was made anew"
    make()


def test_a_bridge_keeps_its_mtu_whatever_is_plugged_in() -> None:
    make()
    with member("small", ("10.88.0.2/24",), "lab0") as plugged:
        netlink_links.set_link(plugged.port, mtu=1300)
        assert not make().changed


def test_an_mtu_too_small_for_ipv6_and_back() -> None:
    both, four = LAB["addresses"], LAB["addresses"][:1]
    make(mtu=1279, addresses=four)
    with member("port", ("10.88.0.2/24",), "lab0"):
        for mtu, addresses in ((1500, both), (68, four), (1280, four), (1000, four), (1280, both)):
            assert make(mtu=mtu, addresses=addresses).changed
            live = netlink_links.link("lab0")
            assert (live.mtu, live.up) == (mtu, True)
            assert sysctl.read("net/ipv6/conf/lab0/accept_ra") == (None if mtu < 1280 else "0")


def test_attached_containers_are_named_and_cut_off_only_by_force() -> None:
    make()
    with member("vethweb", ("10.88.0.2/24",), "lab0"):
        netlink_links.set_link("vethweb", alias="barekernel:container/web")
        for change in ({"state": "absent"}, {"bridge": "other0"}):
            with pytest.raises(Refused, match=r"vethweb \(container/web\)"):
                make(**change)
        assert NetworkInfo().gather({"name": "lab0"})["networks"][0]["ports"] == ["vethweb (container/web)"]
        make(mtu=1400)
        make(state="absent", force=True)


DRIFT = [
    ("the whole ruleset flushed", ["nft", "flush", "ruleset"]),
    ("our rules flushed", ["nft", "flush", "table", "inet", "barekernel"]),
    ("a chain flushed", ["nft", "flush", "chain", "inet", "barekernel", "isolation"]),
    ("a rule added", ["nft", "insert", "rule", "inet", "barekernel", "isolation", "drop"]),
    ("an element gone", ["nft", "delete", "element", "inet", "barekernel", "nat4", "{ 10.88.0.0/24 }"]),
    ("an element too many", ["nft", "add", "element", "inet", "barekernel", "bridges", "{ eth7 }"]),
    ("a port led elsewhere", ["nft", "flush", "map", "inet", "barekernel", "published4"]),
    ("an address gone", ["ip", "address", "del", "10.88.0.1/24", "dev", "lab0"]),
    ("an IPv6 address gone", ["ip", "address", "del", "fd88::1/64", "dev", "lab0"]),
    ("an address too many", ["ip", "address", "add", "10.77.0.1/24", "dev", "lab0"]),
    ("the bridge down", ["ip", "link", "set", "lab0", "down"]),
    ("the bridge gone", ["ip", "link", "del", "lab0"]),
    ("its mark gone", ["ip", "link", "set", "lab0", "alias", ""]),
    ("another MTU", ["ip", "link", "set", "lab0", "mtu", "9000"]),
    ("another MAC", ["ip", "link", "set", "lab0", "address", "02:00:00:00:00:99"]),
    ("forwarding off", ["sysctl", "-qw", "net.ipv4.ip_forward=0"]),
    ("IPv6 forwarding off", ["sysctl", "-qw", "net.ipv6.conf.all.forwarding=0"]),
    ("loopback not routed", ["sysctl", "-qw", "net.ipv4.conf.lab0.route_localnet=0"]),
    ("the record gone", ["rm", "/var/lib/barekernel/networks/lab0.json"]),
]


@pytest.mark.parametrize("command", [d[1] for d in DRIFT], ids=[d[0] for d in DRIFT])
def test_drift_is_seen_and_repaired(command: list[str]) -> None:
    options = {"published": [{"addresses": ["10.88.0.2"], "ports": ["8080:80"]}]}
    facts = make(**options).facts
    run(*command)
    outcome = make(**options)
    assert outcome.changed and outcome.facts == facts


def test_repair_keeps_what_others_have_in_the_table() -> None:
    make()
    (publish,) = plan_publish("container/web", (Published(("10.88.0.2",), parse_ports("ports", ["80:80"])),), table())
    publish.execute(Kernel())
    run("nft", "flush", "chain", "inet", "barekernel", "isolation")
    make()
    assert as_template(table())
    assert plan_publish("container/web", (Published(("10.88.0.2",), parse_ports("ports", ["80:80"])),), table()) == ()
    make(state="absent")
    (gone,) = plan_publish("container/web", (), table())
    assert gone.delete
    gone.execute(Kernel())
    assert table() is None


def table() -> Any:
    return nft.read_table("inet", "barekernel")


def asked(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> list[str]:
    """What was asked of netlink and of nft meanwhile."""
    found: list[str] = []
    exchange, listing = netlink_messages._exchange, nft._nft

    def counted(socket: Any, kind: int, *rest: Any) -> Any:
        found.append(f"rtnetlink message {kind}")
        return exchange(socket, kind, *rest)

    def counted_nft(command: str, **how: bool) -> Any:
        done = listing(command, **how)
        found.append(f"nft {command} {done.output}")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(netlink_messages, "_exchange", counted)
        patch.setattr(nft, "_nft", counted_nft)
        work()
    return found


def test_info_reads_the_host_once_for_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def gather() -> None:
        NetworkInfo().gather({"name": None})

    make()
    one = asked(monkeypatch, gather)
    for number in (1, 2):
        make(name=f"lab{number}", addresses=[f"10.{number}.0.1/24"])
    three = asked(monkeypatch, gather)
    assert len(three) == len(one) > 0


def test_elements_of_foreign_sets_stay_in_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blocklist has a hundred thousand of them. Sets that are written in a rule are part of it."""
    rules = """table inet block {
      set bad { type ipv4_addr; elements = { 192.0.2.77 } }
      chain f { type filter hook forward priority 0; policy drop
        ip saddr @bad drop
        iifname { lab0, eth77 } accept
        oifname { lab0, eth77 } accept
      }
    }"""
    run("nft", rules)
    try:
        make()
        seen: list[Outcome] = []
        answers = asked(monkeypatch, lambda: seen.append(make()))
        assert "eth77" in str(answers) and "192.0.2.77" not in str(answers)
        assert seen[0].plan.warnings == ()
    finally:
        run("nft", "delete", "table", "inet", "block")


def test_neighbouring_subnets_stay_apart() -> None:
    make(addresses=["10.88.0.1/25"])
    make(name="lab1", addresses=["10.88.0.129/25"])
    assert not make(addresses=["10.88.0.1/25"]).changed
    make(name="lab1", addresses=["10.88.0.129/25"], state="absent")
    assert not make(addresses=["10.88.0.1/25"]).changed


def test_many_ports_in_one_go(record_property: Any) -> None:
    started = time.monotonic()
    ports = [f"{20000 + n}:80" for n in range(500)] + ["30000-31999:30000-31999/udp"]
    make(published=[{"addresses": ["10.88.0.2", "fd88::2"], "ports": ports}])
    record_property("seconds", time.monotonic() - started)
    assert len([e for e in table().elements if e.set_name.startswith("published")]) == 2 * 2500
    outcome = make(published=[{"addresses": ["10.88.0.2", "fd88::2"], "ports": ports[1:]}])
    (change,) = [o for o in outcome.plan.operations if "nftables" in o.describe()]
    assert [e.key for e in change.remove] == [("tcp", "20000"), ("tcp", "20000")] and change.add == ()


def test_sysctls_go_back_with_the_last_user() -> None:
    make()
    make(name="lab1", addresses=["10.89.0.1/24"])
    assert sysctl.read("net.ipv4.ip_forward") == sysctl.read("net.ipv6.conf.all.forwarding") == "1"
    make(state="absent")
    assert (sysctl.read("net.ipv4.ip_forward"), sysctl.read("net.ipv6.conf.all.forwarding")) == ("1", "0")
    make(name="lab1", state="absent")
    assert sysctl.read("net.ipv4.ip_forward") == "0" and not RECORD.exists()


def test_a_sysctl_that_was_on_before_us_stays_on() -> None:
    sysctl.write("net.ipv4.ip_forward", "1")
    try:
        make()
        make(state="absent")
        assert sysctl.read("net.ipv4.ip_forward") == "1"
    finally:
        sysctl.write("net.ipv4.ip_forward", "0")


def all_forwarding() -> dict[str, str | None]:
    """What the kernel may overwrite when forwarding is switched, of every interface."""
    names = [
        f"net/{family}/conf/{entry}/{leaf}"
        for family in ("ipv4", "ipv6")
        for entry in sysctl.entries(f"net/{family}/conf")
        for leaf in ("forwarding", "accept_redirects")
    ]
    return sysctl.read_many(tuple(names))


EXPLICIT = (
    "net/ipv4/conf/all/accept_redirects=0",
    "net/ipv4/conf/forwards/forwarding=1",
    "net/ipv6/conf/forwards/forwarding=1",
    "net/ipv6/conf/default/forwarding=1",
)


@contextlib.contextmanager
def explicit_forwarding() -> Iterator[None]:
    """A hardened host that forwards between some interfaces only."""
    before = [(name, sysctl.read(name) or "") for name in (e.partition("=")[0] for e in EXPLICIT)]
    with member("forwards", ()), member("stays", ()):
        try:
            for name, _equals, value in (e.partition("=") for e in EXPLICIT):
                sysctl.write(name, value)
            yield
        finally:
            for name, value in before:
                if "/forwards/" not in name:
                    sysctl.write(name, value)


def test_what_the_kernel_overwrites_with_the_switches_goes_back_too() -> None:
    with explicit_forwarding():
        before = all_forwarding()
        make()
        assert sysctl.read("net/ipv4/conf/stays/forwarding") == sysctl.read("net/ipv6/conf/stays/forwarding") == "1"
        make(name="lab1", addresses=["10.89.0.1/24"])
        make(state="absent")
        make(name="lab1", state="absent")
        assert all_forwarding() == before


def test_what_somebody_changed_since_is_left_to_the_kernel() -> None:
    with explicit_forwarding(), member("goes", ()):
        sysctl.write("net/ipv4/conf/goes/forwarding", "1")
        make()
        sysctl.write("net/ipv4/conf/all/accept_redirects", "1")
        sysctl.write("net/ipv6/conf/forwards/forwarding", "0")
        netlink_links.delete_link("goes")
        make(state="absent")
        live = [sysctl.read(name) for name in (e.partition("=")[0] for e in EXPLICIT)]
        assert live == ["1", "1", "0", "1"]


def test_a_record_of_another_boot_restores_nothing() -> None:
    make()
    plain = json.loads(RECORD.read_text())
    RECORD.write_text(json.dumps({**plain, "boot_id": "another"}))
    make()
    make(state="absent")
    assert sysctl.read("net.ipv4.ip_forward") == "1" and not RECORD.exists()
    sysctl.write("net.ipv4.ip_forward", "0")
    sysctl.write("net.ipv6.conf.all.forwarding", "0")


def default_routes(port: str) -> list[Any]:
    index = netlink_links.link(port).index
    return [r for r in netlink_ip.routes(index=index) if r.to == "::/0"]


@pytest.mark.parametrize("protected", [True, False])
def test_a_default_route_from_router_advertisements_survives(protected: bool) -> None:
    with member("up0", ("2001:db8::2/64",)) as router:

        def learned() -> bool:
            advertise_router(router.netns)
            return bool(default_routes("up0"))

        until("the router has a link-local address", lambda: usable_link_local(router.netns))
        until("the route is learned", learned)
        if not protected:
            # What our care is for: the kernel drops the route when forwarding comes on.
            sysctl.write("net.ipv6.conf.all.forwarding", "1")
            assert not default_routes("up0")
            sysctl.write("net.ipv6.conf.all.forwarding", "0")
            return
        make()
        assert default_routes("up0") and sysctl.read("net/ipv6/conf/up0/accept_ra") == "2"
        make(name="lab1", addresses=["10.89.0.1/24", "fd89::1/64"])
        make(state="absent")
        assert default_routes("up0") and sysctl.read("net/ipv6/conf/up0/accept_ra") == "2"
        make(name="lab1", state="absent")
        assert default_routes("up0") and sysctl.read("net/ipv6/conf/up0/accept_ra") == "1"


def usable_link_local(netns: Any) -> bool:
    return any(a.link_local and not a.tentative for a in netlink_ip.addresses(netns))


def fails(kind: type[Exception], words: str, **options: Any) -> None:
    """The refusal says these words and nothing at all has changed."""
    until_quiet()
    before = host_state()
    with pytest.raises(kind, match=words):
        converge(R, R.desired({**LAB, **options}))
    assert host_state() == before


def host_state() -> list[Any]:
    files = sorted((str(p), p.read_bytes() if p.is_file() else b"") for p in Path("/var/lib/barekernel").rglob("*"))
    links = [(link.name, link.mac, link.mtu, link.up, link.alias, link.master) for link in netlink_links.links()]
    return [run("nft", "-s", "list", "ruleset"), links, netlink_ip.addresses(), netlink_ip.routes(), files]


def to(address: str, *ports: str) -> list[dict[str, Any]]:
    return [{"addresses": [address], "ports": list(ports)}]


BAD_INPUT = [
    (OptionError, "name: 'a/b'", {"name": "a/b"}),
    (OptionError, r"name: '\.\.'", {"name": ".."}),
    (OptionError, "at most 15 bytes", {"bridge": "x" * 16}),
    (OptionError, "reserved", {"bridge": "all"}),
    (OptionError, "bridge: 'v%d'", {"bridge": "v%d"}),
    (OptionError, "with its prefix", {"addresses": ["10.88.0.1"]}),
    (OptionError, "network or broadcast", {"addresses": ["10.88.0.0/24"]}),
    (OptionError, "network or broadcast", {"addresses": ["10.88.0.255/24"]}),
    (OptionError, "form of IPv6: write 10.88.0.1", {"addresses": ["::ffff:10.88.0.1/120"]}),
    (OptionError, "one address a subnet", {"addresses": ["10.88.0.1/24", "10.88.0.2/25"]}),
    (OptionError, "no subnet", {"addresses": ["10.88.0.1/32"]}),
    (OptionError, "loopback", {"addresses": ["127.0.0.1/8"]}),
    (OptionError, "mtu: 1279: must be from 1280 for IPv6", {"mtu": 1279}),
    (OptionError, "mac", {"mac": "01:00:00:00:00:01"}),
    (OptionError, "outside network lab0", {"published": to("10.99.0.5", "80:80")}),
    (OptionError, "gateway", {"published": to("10.88.0.1", "80:80")}),
    (OptionError, "second time", {"published": to("10.88.0.5", "80:80", "70-90:70-90")}),
    (OptionError, "no address of that family", {"published": to("10.88.0.5", "[fd00::9]:80:80")}),
]


@pytest.mark.parametrize(("kind", "words", "options"), BAD_INPUT)
def test_bad_input_changes_nothing(kind: type[Exception], words: str, options: dict[str, Any]) -> None:
    fails(kind, words, **options)


def test_clashes_are_refused_with_words() -> None:
    make(name="lab1", addresses=["10.89.0.1/24"], bridge="br1", published=to("10.89.0.2", "8080:80"))
    fails(Refused, "10.89.0.0/24 of network lab1", addresses=["10.89.0.129/25"])
    fails(Refused, "bridge of network lab1", bridge="br1")
    fails(Refused, "8080/tcp on any IPv4 address is published by network/lab1", published=to("10.88.0.2", "8080:80"))
    with member("up0", ("192.0.2.2/24",)):
        fails(Refused, "'up0': is the name of a foreign veth interface", bridge="up0")
        netlink_ip.add_address("up0", "192.0.2.1/24")
        fails(Refused, "192.0.2.0/24, which this host reaches by a route on up0", addresses=["192.0.2.129/25"])
        netlink_links.create_link("br9", "bridge")
        try:
            fails(Refused, "foreign bridge", bridge="br9")
        finally:
            netlink_links.delete_link("br9")


def test_a_port_of_a_foreign_process_is_refused_by_its_name() -> None:
    with listening(HOST, 8080, "127.0.0.1"):
        words = f"'8080:80/tcp': port 8080/tcp on 127.0.0.1 is in use by {os.getpid()} "
        fails(Refused, words, published=to("10.88.0.2", "8080:80"))
        fails(Refused, words.replace("8080:80", "8000-8100:1-101"), published=to("10.88.0.2", "8000-8100:1-101"))
        make(published=to("10.88.0.2", "8080:80/udp", "127.0.0.2:8080:80"))


def test_a_socket_that_takes_ipv6_alone_is_not_in_the_way_of_ipv4() -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        protocol = "/udp" if kind == socket.SOCK_DGRAM else ""
        for only, refused in ((1, ()), (0, ("0.0.0.0:",))):
            with socket.socket(socket.AF_INET6, kind) as holder:
                holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
                holder.bind(("::", 8080))
                if kind == socket.SOCK_STREAM:
                    holder.listen()
                for on in ("0.0.0.0:", "[::]:"):
                    published = [{"addresses": ["10.88.0.2", "fd88::2"], "ports": [f"{on}8080:80{protocol}"]}]
                    if on in (*refused, "[::]:"):
                        fails(Refused, f"on :: is in use by {os.getpid()} ", published=published)
                    else:
                        make(published=published)
                make()


def test_a_network_comes_back_from_its_record() -> None:
    """What the boot unit does: nothing lives but the record."""
    facts = make(published=to("10.88.0.2", "8080:80")).facts
    run("ip", "link", "del", "lab0")
    run("nft", "delete", "table", "inet", "barekernel")
    outcome = converge(R, desired_from_record(read_network("lab0", World())))
    assert outcome.facts == facts and not make(published=to("10.88.0.2", "8080:80")).changed


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_run_killed_after_any_change_is_repaired_by_the_next(state: str) -> None:
    with explicit_forwarding():
        killed_after_any_change(state)


def killed_after_any_change(state: str) -> None:
    options = {"published": to("10.88.0.2", "8080:80")}
    before = all_forwarding()
    for step in range(40):
        if state == "absent":
            make(**options)
        netlink_messages.forget_all()
        desired = R.desired({**LAB, **options, "state": state})
        status = in_child(lambda: converge(R, desired, Dying(Kernel(), step)))  # noqa: B023
        assert status in (0, DIED)
        make(**options, state=state)
        make(state="absent")
        assert all_forwarding() == before, f"after {step} changes"
        if status == 0:
            assert step > 4, "the kernel that dies was not used"
            return
    pytest.fail("more than 40 changes")
