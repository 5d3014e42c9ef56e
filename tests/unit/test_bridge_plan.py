# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network planner, the sysctls it shares, and what it says of other people's firewalls."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import Refused
from ansible_collections.barekernel.containers.plugins.module_utils._core.mac import derived_mac
from ansible_collections.barekernel.containers.plugins.module_utils._core.observe_world import World
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import iptables_legacy, sysctl
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.nft import Chain, Rule, Table
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.sysctl_carried import along
from ansible_collections.barekernel.containers.plugins.module_utils._network import nft_table
from ansible_collections.barekernel.containers.plugins.module_utils._network.foreign_firewall import (
    foreign,
    forwarders,
    warnings_for,
)
from ansible_collections.barekernel.containers.plugins.module_utils._network.host_sysctls import (
    Held,
    HostSysctls,
    decode,
    encode,
    hold,
)
from ansible_collections.barekernel.containers.plugins.module_utils._network.plan import (
    Bridge,
    Desired,
    Observed,
    bridge_sysctls,
    network_elements,
    plan,
    wanted_sysctls,
)
from ansible_collections.barekernel.containers.plugins.module_utils._network.records import Network

MAC = "02:00:00:00:00:01"
LAB = Network("lab0", "lab0", ("10.88.0.1/24", "fd88::1/64"), MAC)
FOUR, SIX = "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"
UPLINK = "net/ipv6/conf/eth0/accept_ra"
REDIRECTS = "net/ipv4/conf/all/accept_redirects"
DEFAULT, PLAIN, VLAN = (f"net/ipv4/conf/{n}/forwarding" for n in ("default", "eth0", "eth0.7"))


def sysctls(live: dict[str, str | None], **held: Held) -> HostSysctls:
    """The record with those entries; keyword names stand for the two forwarding sysctls."""
    names = {"four": FOUR, "six": SIX, "uplink": UPLINK}
    carried = {FOUR: along(FOUR, ["all", "default", "eth0", "eth0.7"])}
    return HostSysctls("/s.json", "boot", bool(held), {names[n]: h for n, h in held.items()}, live, carried)


CLEAN = Observed(
    record=None,
    others=(),
    directory="/networks",
    has_directory=False,
    record_path="/networks/lab0.json",
    host_identity="host",
    bridges=(),
    link_kinds={"lo": "", "eth0": ""},
    taken_subnets=(("192.0.2.0/24", "a route on eth0"),),
    table=None,
    sysctls=sysctls({FOUR: "0", SIX: "0"}),
)


def table_with(*elements: Any) -> Table:
    chains = tuple(
        Chain("inet", "barekernel", c.name, c.type, c.hook, c.priority, "accept" if c.hook else None)
        for c in nft_table.CHAINS
    )
    rules = tuple(Rule(c.name, nft_table._rule_mark(r)) for c in nft_table.CHAINS for r in c.rules)
    return Table("inet", "barekernel", chains, nft_table.SETS, rules, elements)


HELD = Held("0", "1", ("network/lab0",))
BRIDGE = Bridge("lab0", MAC, 1500, True, "barekernel:network/lab0", LAB.addresses, (), bridge_sysctls(LAB, True))
LIVING = dataclasses.replace(
    CLEAN,
    record=LAB,
    has_directory=True,
    bridges=(BRIDGE,),
    link_kinds={**CLEAN.link_kinds, "lab0": "bridge"},
    table=table_with(*network_elements(LAB)),
    sysctls=sysctls({FOUR: "1", SIX: "1"}, four=HELD, six=HELD),
)


def actions(network: Network | None, observed: Observed, force: bool = False) -> list[str]:
    return plan(Desired("lab0", "lab0", network, force), observed).actions


def test_from_nothing() -> None:
    assert actions(LAB, CLEAN) == [
        "create directory /networks (mode 0700, owner 0:0)",
        "write /networks/lab0.json (the network as declared)",
        "write /s.json (the sysctls as they were)",
        f"set sysctl {FOUR} to 1",
        f"set sysctl {SIX} to 1",
        "create the nftables table inet barekernel, add bridges lab0, isolated lab0, nat4 10.88.0.0/24, "
        "nat6 fd88::/64, nets4 10.88.0.0/24, nets6 fd88::/64, within lab0 lab0 for network/lab0",
        f"create bridge lab0 (MAC {MAC}, MTU 1500)",
        *(f"set sysctl {name} to {value}" for name, value in bridge_sysctls(LAB, True).items()),
        "add address 10.88.0.1/24 to bridge lab0",
        "add address fd88::1/64 to bridge lab0",
        "set bridge lab0 up",
    ]


def test_nothing_to_do_and_to_nothing() -> None:
    assert actions(LAB, LIVING) == []
    assert actions(None, CLEAN) == []
    assert actions(None, LIVING) == [
        "delete bridge lab0",
        "delete the nftables table inet barekernel (the last owner was network/lab0)",
        f"set sysctl {SIX} to 0 (as it was)",
        f"set sysctl {FOUR} to 0 (as it was)",
        "remove /s.json",
        "remove /networks/lab0.json",
        "remove directory /networks",
    ]


def test_with_ipv4_alone_the_host_stays_no_ipv6_router() -> None:
    four = dataclasses.replace(LAB, addresses=("10.88.0.1/24",))
    assert not [a for a in actions(four, CLEAN) if SIX in a]
    assert f"set sysctl {SIX} to 0 (as it was)" in actions(four, LIVING)
    without = dataclasses.replace(CLEAN, ipv6=False)
    assert not [a for a in actions(four, without) if "ipv6" in a]
    with pytest.raises(Refused, match="without IPv6"):
        actions(LAB, without)


DRIFT = [
    ({"mtu": 9000}, ["set bridge lab0 MTU 1500"]),
    ({"mac": "02:00:00:00:00:09"}, [f"set bridge lab0 MAC {MAC}"]),
    ({"alias": ""}, ["set bridge lab0 alias barekernel:network/lab0"]),
    ({"up": False}, ["set bridge lab0 up"]),
    ({"addresses": LAB.addresses[1:]}, ["add address 10.88.0.1/24 to bridge lab0"]),
    ({"addresses": (*LAB.addresses, "10.9.0.1/24")}, ["remove address 10.9.0.1/24 from bridge lab0"]),
    (
        # The kernel removes secondary addresses with the primary one.
        {"addresses": ("10.88.0.9/24", *LAB.addresses)},
        ["remove address 10.88.0.9/24 from bridge lab0", "add address 10.88.0.1/24 to bridge lab0"],
    ),
    (
        {"addresses": ("10.88.0.1/16", "fd88::1/64")},
        ["remove address 10.88.0.1/16 from bridge lab0", "add address 10.88.0.1/24 to bridge lab0"],
    ),
    ({"sysctls": {}}, [f"set sysctl {name} to {value}" for name, value in bridge_sysctls(LAB, True).items()]),
]


@pytest.mark.parametrize(("drift", "expected"), DRIFT)
def test_drift_of_the_bridge(drift: dict[str, Any], expected: list[str]) -> None:
    assert actions(LAB, dataclasses.replace(LIVING, bridges=(dataclasses.replace(BRIDGE, **drift),))) == expected


FOUR_ONLY = dataclasses.replace(LAB, addresses=("10.88.0.1/24",))
NO_IPV6 = {n: v for n, v in bridge_sysctls(FOUR_ONLY, True).items() if "ipv6" not in n}
MTUS = [
    ("from IPv6 to less than it needs", BRIDGE, 1000, ["set bridge lab0 MTU 1000"]),
    ("less", dataclasses.replace(BRIDGE, mtu=1000, addresses=FOUR_ONLY.addresses, sysctls=NO_IPV6), 1000, []),
    (
        "IPv6 comes back with the kernel's defaults",
        dataclasses.replace(BRIDGE, mtu=1279, addresses=FOUR_ONLY.addresses, sysctls=NO_IPV6),
        1280,
        [
            "set bridge lab0 down",
            "set bridge lab0 MTU 1280",
            "set sysctl net/ipv6/conf/lab0/accept_ra to 0",
            "set sysctl net/ipv6/conf/lab0/accept_redirects to 0",
            "set sysctl net/ipv6/conf/lab0/accept_dad to 0",
            "set bridge lab0 up",
        ],
    ),
]


@pytest.mark.parametrize(("bridge", "mtu", "expected"), [m[1:] for m in MTUS], ids=[m[0] for m in MTUS])
def test_there_is_no_ipv6_below_its_least_mtu(bridge: Bridge, mtu: int, expected: list[str]) -> None:
    living = dataclasses.replace(LIVING, bridges=(bridge,))
    planned = actions(dataclasses.replace(FOUR_ONLY, mtu=mtu), living)
    kinds = ("set bridge", "set sysctl net/ipv", "add address", "remove address")
    assert [a for a in planned if a.startswith(kinds)] == expected


def test_the_mac_is_kept_when_the_host_is_renamed() -> None:
    undeclared = dataclasses.replace(LAB, mac="")
    assert actions(undeclared, dataclasses.replace(LIVING, host_identity="renamed")) == []
    assert f"create bridge lab0 (MAC {derived_mac('host', 'lab0')}, MTU 1500)" in actions(undeclared, CLEAN)
    assert len({derived_mac(h, n) for h in ("a", "b") for n in ("lab0", "lab1")}) == 4
    assert int(derived_mac("a", "b")[:2], 16) & 3 == 2


def test_attached_ports_forbid_removal_and_a_new_bridge() -> None:
    used = dataclasses.replace(LIVING, bridges=(dataclasses.replace(BRIDGE, ports=("veth1 (container/web)",)),))
    renamed = dataclasses.replace(LAB, bridge="other0")
    for network in (None, renamed):
        with pytest.raises(Refused, match=r"veth1 \(container/web\)"):
            actions(network, used)
        assert "delete bridge lab0" in actions(network, used, force=True)


OTHER = Network("lab1", "lab1", ("10.89.0.1/24",), "02:00:00:00:00:02")
CLASHES = [
    ("overlaps 10.88.0.0/16 of network lab1", {"others": (dataclasses.replace(OTHER, addresses=("10.88.0.1/16",)),)}),
    ("bridge of network lab1", {"others": (dataclasses.replace(OTHER, bridge="lab0"),)}),
    ("address of network lab1", {"others": (dataclasses.replace(OTHER, mac=MAC),)}),
    ("overlaps 10.0.0.0/8, which", {"taken_subnets": (("10.0.0.0/8", "a route on tun0"),)}),
    ("overlaps fd88::7, which", {"taken_subnets": (("fd88::7", "an address of eth0"),)}),
    ("foreign bridge", {"link_kinds": {"lab0": "bridge"}}),
    ("foreign interface", {"link_kinds": {"lab0": ""}}),
]


@pytest.mark.parametrize(("words", "observed"), CLASHES)
def test_clashes(words: str, observed: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=words):
        actions(LAB, dataclasses.replace(CLEAN, **observed))


def test_a_route_that_came_later_does_not_break_a_living_network() -> None:
    assert actions(LAB, dataclasses.replace(LIVING, taken_subnets=(("10.0.0.0/8", "a route on tun0"),))) == []


ME, YOU = "network/lab0", "network/lab1"
ALONG = {REDIRECTS: "0", VLAN: "1"}
SYSCTLS = [
    ("was on before us", {FOUR: "1"}, {}, {FOUR: "1"}, [], None),
    ("first user", {FOUR: "0"}, {}, {FOUR: "1"}, [(FOUR, "1")], {FOUR: Held("0", "1", (ME,))}),
    (
        "second user",
        {FOUR: "1"},
        {"four": Held("0", "1", (YOU,))},
        {FOUR: "1"},
        [],
        {FOUR: Held("0", "1", (ME, YOU))},
    ),
    ("drifted", {FOUR: "0"}, {"four": HELD}, {FOUR: "1"}, [(FOUR, "1")], {FOUR: HELD}),
    ("last user goes", {FOUR: "1"}, {"four": HELD}, {}, [(FOUR, "0")], None),
    ("one of two goes", {FOUR: "1"}, {"four": Held("0", "1", (ME, YOU))}, {}, [], {FOUR: Held("0", "1", (YOU,))}),
    ("not a user", {FOUR: "1"}, {"four": Held("0", "1", (YOU,))}, {}, [], {FOUR: Held("0", "1", (YOU,))}),
    ("changed by someone", {FOUR: "2"}, {"four": HELD}, {}, [], None),
    ("interface has gone", {UPLINK: None}, {"uplink": Held("1", "2", (ME,))}, {}, [], None),
    (
        "forwarding goes before accept_ra",
        {UPLINK: "2", SIX: "1"},
        {"uplink": Held("1", "2", (ME,)), "six": HELD},
        {},
        [(SIX, "0"), (UPLINK, "1")],
        None,
    ),
    (
        "one swapped for another",
        {FOUR: "0", SIX: "1"},
        {"six": HELD},
        {FOUR: "1"},
        [(SIX, "0"), (FOUR, "1")],
        {FOUR: Held("0", "1", (ME,))},
    ),
    (
        "what the kernel would not put back is recorded",
        {FOUR: "0", REDIRECTS: "0", DEFAULT: "0", PLAIN: "0", VLAN: "1"},
        {},
        {FOUR: "1"},
        [(FOUR, "1")],
        {FOUR: Held("0", "1", (ME,), ALONG)},
    ),
    (
        "it puts back the rest",
        {FOUR: "0", REDIRECTS: "1", DEFAULT: "0", PLAIN: "0", VLAN: "0"},
        {},
        {FOUR: "1"},
        [(FOUR, "1")],
        {FOUR: Held("0", "1", (ME,))},
    ),
    (
        "switched off and on by others: more is recorded, nothing forgotten",
        {FOUR: "0", REDIRECTS: "1", DEFAULT: "1", PLAIN: "0", VLAN: "0"},
        {"four": Held("0", "1", (ME,), ALONG)},
        {FOUR: "1"},
        [(FOUR, "1")],
        {FOUR: Held("0", "1", (ME,), {DEFAULT: "1", **ALONG})},
    ),
    (
        "one of two goes, and what goes along stays recorded",
        {FOUR: "1", REDIRECTS: "0", VLAN: "1"},
        {"four": Held("0", "1", (ME, YOU), ALONG)},
        {},
        [],
        {FOUR: Held("0", "1", (YOU,), ALONG)},
    ),
    (
        "it follows the switch",
        {FOUR: "1", REDIRECTS: "0", VLAN: "1"},
        {"four": Held("0", "1", (ME,), ALONG)},
        {},
        [(FOUR, "0"), (REDIRECTS, "0"), (VLAN, "1")],
        None,
    ),
    (
        "changed by someone or gone",
        {FOUR: "1", REDIRECTS: "1", VLAN: None},
        {"four": Held("0", "1", (ME,), ALONG)},
        {},
        [(FOUR, "0")],
        None,
    ),
    (
        "killed between the switch and the last of them",
        {FOUR: "0", REDIRECTS: "0", VLAN: "0"},
        {"four": Held("0", "1", (ME,), ALONG)},
        {},
        [(VLAN, "1")],
        None,
    ),
    (
        "the switch changed by someone",
        {FOUR: "2", REDIRECTS: "0", VLAN: "2"},
        {"four": Held("0", "1", (ME,), ALONG)},
        {},
        [],
        None,
    ),
]


@pytest.mark.parametrize(
    ("live", "held", "wanted", "writes", "left"), [s[1:] for s in SYSCTLS], ids=[s[0] for s in SYSCTLS]
)
def test_host_sysctls(
    live: dict[str, str | None],
    held: dict[str, Held],
    wanted: dict[str, str],
    writes: list[tuple[str, str]],
    left: dict[str, Held] | None,
) -> None:
    state = sysctls(live, **held)
    operations = hold(state, wanted, ME)
    assert [(o.name, o.value) for o in operations if hasattr(o, "value")] == writes
    files = [o for o in operations if not hasattr(o, "value")]
    if left is None:
        assert [f.describe() for f in files] == (["remove /s.json"] if held else [])
    elif left == state.held:
        assert files == []
    else:
        plain = json.loads(files[0].content)
        assert decode("/s.json", "boot", plain, live).held == left
        assert decode("/s.json", "next boot", plain, live).held == {}
    first_write = next(
        (i for i, o in enumerate(operations) if getattr(o, "value", "") == "1" and "ip_forward" in o.name), 9
    )
    assert all(operations.index(f) < first_write for f in files), "an original must be on disk before it is lost"


def test_a_network_that_goes_and_one_that_comes_in_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds the switches, and what the kernel overwrites with them, as the first leaves them."""
    live = {FOUR: "1", REDIRECTS: "0", DEFAULT: "1"}
    monkeypatch.setattr(sysctl, "read_many", lambda names, netns: {name: live[name] for name in names})
    world = World()
    first = dataclasses.replace(sysctls(world.sysctls([FOUR]), four=Held("0", "1", (YOU,))), carried={})
    for operation in hold(first, {}, YOU):
        operation.expect(world)
    later = dataclasses.replace(sysctls({}), live=world.sysctls(live))
    assert later.live == {FOUR: "0", REDIRECTS: "1", DEFAULT: "0"}
    [record, _write] = hold(later, {FOUR: "1"}, ME)
    assert json.loads(record.content)["sysctls"][FOUR]["along"] == {}


def test_accept_ra_comes_first_and_stays_while_anyone_forwards() -> None:
    learned = dataclasses.replace(CLEAN, ra_sysctls=(UPLINK,), sysctls=sysctls({FOUR: "0", SIX: "0", UPLINK: "1"}))
    assert list(wanted_sysctls(LAB, learned)) == [UPLINK, FOUR, SIX]
    later = sysctls({FOUR: "1", SIX: "1", UPLINK: "2"}, uplink=Held("1", "2", (YOU,)))
    assert list(wanted_sysctls(LAB, dataclasses.replace(CLEAN, sysctls=later))) == [UPLINK, FOUR, SIX]
    four = dataclasses.replace(LAB, addresses=("10.88.0.1/24",))
    assert list(wanted_sysctls(four, learned)) == [FOUR]


def test_the_record_keeps_the_order_of_setting() -> None:
    held = {UPLINK: Held("1", "2", (ME,)), SIX: HELD, FOUR: HELD}
    assert list(decode("/s.json", "b", json.loads(encode("b", held, {})), {}).held) == [UPLINK, SIX, FOUR]


def verdict(name: str, **match: Any) -> Rule:
    matches = ({"match": {"op": "==", "left": {"meta": {"key": k}}, "right": v}} for k, v in match.items())
    return Rule("forward", "", (*matches, {"counter": {"packets": 0, "bytes": 0}}, {name: None}))


def firewall(policy: str, *rules: Rule, family: str = "ip", name: str = "filter", more: tuple[str, ...] = ()) -> Table:
    chain = Chain(family, name, "forward", "filter", "forward", 0, policy)
    return Table(family, name, (chain, *(Chain(family, name, m) for m in more)), (), rules)


PASSING = (verdict("accept", iifname="lab0"), verdict("jump", oifname={"set": ["lab0", "lab1"]}))
FIREWALLS = [
    ("nothing there", firewall("accept"), ""),
    ("drops by policy", firewall("drop"), "accept forwarding from and to lab0"),
    ("rejects at the end", firewall("accept", verdict("reject")), "accept forwarding"),
    ("drops some", firewall("accept", verdict("drop", iifname="eth0")), ""),
    ("lets ours pass", firewall("drop", *PASSING), ""),
    ("lets one direction pass", firewall("drop", *PASSING[:1]), "accept forwarding"),
    ("lets another bridge pass", firewall("drop", verdict("accept", iifname="lab1", oifname="lab1")), "accept"),
    ("IPv6 only", firewall("drop", family="ip6"), ""),
    ("both families", firewall("drop", family="inet", name="firewalld"), "firewall-cmd"),
    ("docker", firewall("drop", more=("DOCKER-USER",)), "iptables -I DOCKER-USER -i lab0"),
    ("ufw", firewall("drop", more=("ufw-user-forward",)), "ufw route allow in on lab0"),
]


@pytest.mark.parametrize(("table", "words"), [f[1:] for f in FIREWALLS], ids=[f[0] for f in FIREWALLS])
def test_foreign_firewalls(table: Table, words: str) -> None:
    warnings = warnings_for("lab0", [4], [table])
    assert [words in w for w in warnings] == ([True] if words else [])
    assert not words or f"{table.family} {table.name} forward" in warnings[0]


IPTABLES = Table("ip", "filter", tool="iptables-legacy")
IP_NAT = Table("ip", "nat", tool="iptables-legacy")
LEGACY = [
    ("nothing there", "-P FORWARD ACCEPT", ""),
    ("drops by policy", "-P FORWARD DROP", "iptables-legacy -I FORWARD -i lab0 -j ACCEPT"),
    ("drops what comes in alone", "-P INPUT DROP\n-P FORWARD ACCEPT", ""),
    (
        "rejects at the end",
        "-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-port-unreachable",
        "iptables-legacy -I FORWARD",
    ),
    ("drops some", "-P FORWARD ACCEPT\n-A FORWARD ! -s 10.0.0.0/8 -p udp -m udp --dport 53 -j DROP", ""),
    (
        "drops all, and says why",
        '-P FORWARD ACCEPT\n-A FORWARD -m comment --comment "the \\"-s x\\" end" -j DROP',
        "iptables-legacy",
    ),
    (
        "lets ours pass",
        "-P FORWARD DROP\n-N OURS\n-A FORWARD -i lab0 -g OURS\n-A FORWARD -o lab0 -m conntrack --ctstate NEW -j ACCEPT",
        "",
    ),
    ("lets all others pass", "-P FORWARD DROP\n-A FORWARD ! -i lab0 -j ACCEPT\n-A FORWARD -o lab0 -j ACCEPT", "legacy"),
    ("counts ours", "-P FORWARD DROP\n-A FORWARD -i lab0 -j LOG\n-A FORWARD -o lab0", "legacy"),
    ("docker", "-P FORWARD DROP\n-N DOCKER-USER", "iptables-legacy -I DOCKER-USER -i lab0"),
    ("ufw", "-P FORWARD DROP\n-N ufw-user-forward", "ufw route allow in on lab0"),
]


@pytest.mark.parametrize(("listing", "words"), [f[1:] for f in LEGACY], ids=[f[0] for f in LEGACY])
def test_firewalls_of_iptables_legacy(listing: str, words: str) -> None:
    warnings = warnings_for("lab0", [4], [iptables_legacy.parse(IPTABLES, listing + "\n")])
    assert [words in w for w in warnings] == ([True] if words else [])
    assert not words or "ip filter FORWARD of iptables-legacy" in warnings[0]


def test_who_else_forwards_by_iptables_legacy() -> None:
    listing = "-P POSTROUTING ACCEPT\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j {}\n"
    for target, forwards in (("MASQUERADE", True), ("SNAT --to-source 192.0.2.1", True), ("RETURN", False)):
        table = iptables_legacy.parse(IP_NAT, listing.format(target))
        assert forwarders(4, [table]) == (("ip nat of iptables-legacy",) if forwards else ())
        assert forwarders(6, [table]) == ()


def test_what_cannot_be_read_may_drop_and_forward() -> None:
    filters, translates = (dataclasses.replace(t, unread="no such file") for t in (IPTABLES, IP_NAT))
    (warning,) = warnings_for("lab0", [4], [filters, translates])
    assert "ip filter of iptables-legacy" in warning and "no such file" in warning
    assert warnings_for("lab0", [6], [filters]) == ()
    assert forwarders(4, [filters, translates]) == ("ip nat of iptables-legacy",)


@pytest.fixture
def in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A host where ip filter is in use. Returns where its iptables-legacy is to be."""
    (tmp_path / "names").write_text("filter\nraw\n")
    tool = str(tmp_path / "iptables-legacy")
    families = {"ip": (str(tmp_path / "names"), tool), "ip6": (str(tmp_path / "none"), "/nothing/ip6tables-legacy")}
    monkeypatch.setattr(iptables_legacy, "_FAMILIES", families)
    return tool


@pytest.mark.parametrize(
    ("script", "unread"),
    [
        (None, "No such file"),
        ("echo 'Another app is holding it' >&2; exit 4", "Another app"),
        ("exit 3", "status 3"),
        ("echo '-A FORWARD -m comment --comment \"two'; echo 'lines\" -j DROP'", "quotation"),
        ("echo '-P FORWARD DROP'", ""),
    ],
    ids=["none", "refused", "silent", "not understood", "read"],
)
def test_iptables_legacy_is_read_or_it_is_said_why_not(in_use: str, script: str | None, unread: str) -> None:
    if script is not None:
        Path(in_use).write_text(f"#!/bin/sh\n{script}\n")
        Path(in_use).chmod(0o755)
    (table,) = iptables_legacy.read_tables()
    assert (table.family, table.name) == ("ip", "filter")
    assert unread in table.unread and bool(table.unread) == bool(unread) == (not table.chains)


def test_only_foreign_tables_that_see_forwarded_traffic_count() -> None:
    chains = [
        Chain("ip", "filter", "INPUT", "filter", "input"),
        Chain("ip", "filter", "FORWARD", "filter", "forward"),
        Chain("ip", "nat", "POSTROUTING", "nat", "postrouting"),
        Chain("ip", "mangle", "INPUT", "filter", "input"),
        Chain("bridge", "filter", "FORWARD", "filter", "forward"),
        Chain("inet", "barekernel", "isolation", "filter", "forward"),
        Chain("inet", "other", "a", "filter", "forward"),
        Chain("inet", "other", "b"),
    ]
    names = dict.fromkeys((c.family, c.table) for c in chains)
    tables = [Table(*name, tuple(c for c in chains if (c.family, c.table) == name)) for name in names]
    assert [t.name for t in foreign(tables)] == ["filter", "nat", "other"]


def nat_table(*rules: Rule, family: str = "ip", name: str = "nat") -> Table:
    return Table(family, name, (Chain(family, name, "post", "nat", "postrouting", 100, "accept"),), (), rules)


def test_who_else_forwards_is_known_by_what_it_translates() -> None:
    tables = [nat_table(verdict("masquerade")), nat_table(name="empty"), firewall("drop"), nat_table(family="ip6")]
    assert forwarders(4, tables) == ("ip nat",) and forwarders(6, tables) == ()
    iptables = Rule("post", "", ({"xt": {"type": "target", "name": "MASQUERADE"}},))
    assert forwarders(6, [nat_table(iptables, family="inet")]) == ("inet nat",)


def test_forwarding_stays_on_for_those_who_came_to_rely_on_it() -> None:
    shared = dataclasses.replace(LIVING, forwarders={FOUR: ("ip nat",), SIX: ()})
    removal = plan(Desired("lab0", "lab0", None), shared)
    assert [a for a in removal.actions if "sysctl " in a] == [f"set sysctl {SIX} to 0 (as it was)"]
    (warning,) = removal.warnings
    assert warning.startswith(f"sysctl {FOUR} stays 1: the firewall table ip nat shows")
    assert plan(Desired("lab0", "lab0", None), dataclasses.replace(CLEAN, forwarders=shared.forwarders)).warnings == ()
