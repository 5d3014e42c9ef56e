# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planners of namespaces and veth pairs, as tables, and the options they get."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._core.mac import derived_mac
from ansible_collections.barekernel.containers.plugins.module_utils._core.quantities import (
    parse_percent,
    parse_rate,
    parse_time,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import netlink_fdb, sysctl
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import NamespaceId, NetnsRef
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netlink_ip import Route
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netlink_links import Link
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netlink_qdisc import Qdisc
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netns import NamedNetns
from ansible_collections.barekernel.containers.plugins.module_utils._links.addresses import plan_addresses
from ansible_collections.barekernel.containers.plugins.module_utils._links.netns import (
    NetnsDesired,
    NetnsObserved,
    plan_netns,
    plan_netns_absent,
)
from ansible_collections.barekernel.containers.plugins.module_utils._links.operations import birth_name
from ansible_collections.barekernel.containers.plugins.module_utils._links.plan import plan_veth, wanted_states
from ansible_collections.barekernel.containers.plugins.module_utils._links.qdisc import described, parse_impairment
from ansible_collections.barekernel.containers.plugins.module_utils._links.records import (
    PlaceObserved,
    VethDesired,
    VethEnd,
    VethObserved,
)
from ansible_collections.barekernel.containers.plugins.module_utils._links.resource import NetnsVeth
from ansible_collections.barekernel.containers.plugins.module_utils._links.sysctl_values import same_value
from ansible_collections.barekernel.containers.plugins.module_utils._links.sysctls import (
    check_sysctls,
    dotted,
    going_back,
    interface_of,
    parse_netns_sysctls,
    plan_sysctls,
    sample_of,
    sysctl_text,
    values_after,
)
from hypothesis import given
from hypothesis import strategies as st

A = NetnsRef.named("a")
NEAR = VethEnd("eth0", A, addresses=("10.0.0.2/24",), routes=(Route("0.0.0.0/0", "10.0.0.1"),))
FAR = VethEnd("a0")
DESIRED = VethDesired("a", (NEAR, FAR), seed="host")


def there(desired=DESIRED, **changes):
    """The pair exactly as declared; ``changes`` are of the first end."""
    first, second = wanted_states(desired, VethObserved())
    return VethObserved(ends=(replace(first, **changes), second), joined=True)


def actions(desired, observed, **more):
    return [o.describe() for o in plan_veth(desired, observed, **more)]


def test_what_is_there_needs_nothing():
    assert actions(DESIRED, there()) == []


def test_from_nothing():
    macs = [derived_mac("host", "a", n) for n in "01"]
    assert actions(DESIRED, VethObserved()) == [
        f"create veth pair a: eth0 in netns a ({macs[0]}, MTU 1500), a0 in the host ({macs[1]}, MTU 1500)",
        "eth0 in netns a: set up",
        "eth0 in netns a: add address 10.0.0.2/24",
        "eth0 in netns a: set route default via 10.0.0.1",
        "a0 in the host: set up",
    ]


ROUTE = NEAR.routes[0]
TABLE = [
    ({"mtu": 1400}, {"mtu": 1500}, ["set MTU 1500"]),
    ({"mac": "02:00:00:00:00:01"}, {"mac": "02:00:00:00:00:02"}, ["set MAC 02:00:00:00:00:02"]),
    (
        {"up": False, "routes": ()},
        {},
        ["set up", "set route default via 10.0.0.1"],
    ),
    ({}, {"up": False}, ["set down"]),
    ({"interface": "x"}, {}, ["rename to eth0"]),
    (
        {"netns": NetnsRef.named("b")},
        {},
        ["move to netns a", "set up", "add address 10.0.0.2/24", "set route default via 10.0.0.1"],
    ),
    ({"addresses": ()}, {}, ["add address 10.0.0.2/24"]),
    ({"addresses": ("10.0.0.2/24", "10.7.0.1/24")}, {}, ["remove address 10.7.0.1/24"]),
    # Within a subnet the old address goes first and takes the IPv4 routes along: it is the last one.
    (
        {"addresses": ("10.0.0.3/24",)},
        {},
        ["remove address 10.0.0.3/24", "add address 10.0.0.2/24", "set route default via 10.0.0.1"],
    ),
    # In another subnet the new one comes first, and the route stays.
    ({"addresses": ("10.0.9.3/24",)}, {}, ["add address 10.0.0.2/24", "remove address 10.0.9.3/24"]),
    ({"routes": (Route("0.0.0.0/0", "10.0.0.9"),)}, {}, ["set route default via 10.0.0.1"]),
    (
        {"routes": (replace(ROUTE, metric=9),)},
        {},
        ["set route default via 10.0.0.1", "remove route default via 10.0.0.1 metric 9"],
    ),
    (
        {"routes": (ROUTE, Route("10.9.0.0/16", "10.0.0.1", table=7))},
        {},
        ["remove route 10.9.0.0/16 via 10.0.0.1 table 7"],
    ),
    # Nobody declared the route, and the new address does not reach its gateway: it goes with the old address.
    (
        {"addresses": ("10.0.0.3/24",)},
        {"addresses": ("10.0.0.4/30",), "routes": None},
        ["add address 10.0.0.4/30", "remove address 10.0.0.3/24"],
    ),
    (
        {"addresses": ("10.0.0.2/24", "fd00::2/64"), "routes": (Route("::/0", "fd00::1", 1024),)},
        {"routes": None},
        ["remove address fd00::2/64"],
    ),
    ({"bridge": "br9"}, {"bridge": ""}, ["take it out of its bridge"]),
    ({"bridge": "br9"}, {}, []),
    (
        {"bridge": "br9", "hairpin": True},
        {"bridge": "br0", "isolated": True},
        ["make it a port of bridge br0", "set bridge port flag isolated on"],
    ),
    ({"bridge": "br0", "hairpin": True}, {"bridge": "br0", "hairpin": False}, ["set bridge port flag hairpin off"]),
    ({"qdisc": Qdisc("tbf", (("rate", 1),))}, {"impaired": True}, ["remove the impairment"]),
    ({"qdisc": Qdisc("tbf", (("rate", 1),))}, {}, []),
    ({"qdisc": Qdisc("fq_codel")}, {"impaired": True}, []),
    ({"tentative": ("10.0.0.2/24",)}, {}, ["wait until nobody else claims 10.0.0.2/24"]),
]


@pytest.mark.parametrize(("observed", "declared", "expected"), TABLE)
def test_one_difference_one_step(observed, declared, expected):
    desired = replace(DESIRED, ends=(replace(NEAR, **declared), FAR))
    found = actions(desired, there(DESIRED, **observed), bridges=frozenset(["br0"]))
    assert [action.partition(": ")[2] for action in found] == expected


def test_a_rename_before_linux_6_2_sets_everything_again():
    observed = replace(there(interface="x"), live_rename=False)
    assert [a.partition(": ")[2] for a in actions(DESIRED, observed)] == [
        "set down (this kernel renames only what is down)",
        "rename to eth0",
        "set up",
        "set route default via 10.0.0.1",
    ]


def test_not_exclusive_leaves_others_but_one_ip_has_one_prefix_length():
    desired = replace(DESIRED, exclusive=False)
    observed = there(addresses=("10.0.0.2/16", "10.8.0.1/24"), routes=(ROUTE, replace(ROUTE, metric=5)))
    assert [a.partition(": ")[2] for a in actions(desired, observed)] == [
        "remove address 10.0.0.2/16",
        "add address 10.0.0.2/24",
    ]


def test_the_default_route_of_the_host_stays():
    host = VethEnd("a0", routes=())
    desired = replace(DESIRED, ends=(NEAR, host))
    observed = there()
    ends = (observed.ends[0], replace(observed.ends[1], routes=(Route("0.0.0.0/0", "10.0.0.2"), Route("10.1.0.0/16"))))
    observed = replace(observed, ends=ends, places=(PlaceObserved(), PlaceObserved(is_host=True)))
    assert actions(desired, observed) == ["a0 in the host: remove route 10.1.0.0/16"]


LINK = Link(9, "eth0", "dummy", "02:00:00:00:00:01", 1500, True, True)
REFUSALS = [
    ({"exists": False}, {"netns": NetnsRef.at("/x")}, "path: '/x': there is no network namespace"),
    ({"exists": False}, {"netns": NetnsRef.of_process(7, 1)}, "pid: '7': there is no such process"),
    ({"clash": LINK}, {}, "interface: 'eth0': the name is taken in netns a by a dummy interface without our mark"),
    ({"is_host": True}, {}, "routes: 'default': .*default route is never touched"),
    ({}, {"bridge": "br1"}, "bridge: 'br1': there is no bridge of that name in netns a"),
    ({"bridge": LINK}, {"bridge": "br1"}, "bridge: 'br1': is no bridge in netns a but dummy"),
    ({}, {"hairpin": True}, "hairpin: True: .*name the bridge"),
    ({}, {"mtu": 1000, "addresses": ("fd00::1/64", "10.0.0.2/24")}, "mtu: 1000: IPv6 needs at least 1280"),
    (
        {},
        {"addresses": ("2001:db8::1/64",), "routes": (Route("2001:db8:2::/64", "2001:db8::1"),)},
        r"routes\[0\].via: '2001:db8::1': is the interface's own address",
    ),
    ({}, {"routes": (Route("10.1.0.0/16", "10.2.0.1"),)}, r"routes\[0\].via: '10.2.0.1': .* say onlink"),
    ({}, {"routes": (Route("10.1.0.0/16", source="10.2.0.1"),)}, r"routes\[0\].source: '10.2.0.1': is no address"),
    ({}, {"impaired": True, "qdisc": Qdisc("netem", (("delay", 1),))}, "impairment: .*no netem"),
    ({}, {"sysctls": (("net.ipv4.nonsense", "1"),)}, "sysctls.net.ipv4.nonsense: '1': this kernel has no such sysctl"),
    (
        {},
        {"sysctls": (("net.ipv4.conf.eth7.rp_filter", "1"),)},
        "sysctls.net.ipv4.conf.eth7.rp_filter: '1': belongs to another interface",
    ),
    (
        {"exists": False, "samples": {"net.ipv4.ip_forward": "0"}},
        {"sysctls": (("net.ipv4.ip_forward", "abc"),)},
        "sysctls.net.ipv4.ip_forward: 'abc': give a number: on this host it is 0",
    ),
    (
        {"exists": False, "samples": {"net.ipv4.conf.default.nope": None}},
        {"sysctls": (("net.ipv4.conf.eth0.nope", "1"),)},
        "sysctls.net.ipv4.conf.eth0.nope: '1': this kernel has no such sysctl",
    ),
    ({"taken": {"10.0.0.2": "eth9"}}, {}, "addresses: '10.0.0.2/24': eth9 in netns a has it"),
]


@pytest.mark.parametrize(("place", "declared", "words"), REFUSALS)
def test_refused_with_words(place, declared, words):
    desired = replace(DESIRED, ends=(replace(NEAR, **declared), FAR))
    observed = replace(there(), places=(PlaceObserved(**place), PlaceObserved()), offered=("tbf",))
    with pytest.raises(OptionError, match=rf"ends\[0\].{words}") as refused:
        plan_veth(desired, observed)
    assert refused.value.option.startswith("ends[0].")


def test_both_ends_cannot_have_the_same_address():
    desired = replace(DESIRED, ends=(NEAR, replace(FAR, addresses=("10.0.0.2/30",))))
    with pytest.raises(OptionError, match=r"ends\[1\].addresses: '10.0.0.2/30': is an address of the other end"):
        plan_veth(desired, VethObserved())


@pytest.mark.parametrize("address", ["10.0.0.2/32", "fd00::1/128", "fe80::1/64"])
def test_what_many_interfaces_may_have(address):
    desired = replace(DESIRED, ends=(replace(NEAR, addresses=(address,), routes=()), FAR))
    taken = PlaceObserved(taken={address.partition("/")[0]: "eth9"})
    assert actions(desired, replace(VethObserved(), places=(taken, PlaceObserved())))


@pytest.mark.parametrize(
    ("name", "shown", "given", "accepted"),
    [
        ("net.ipv4.ip_forward", "0", "1", True),
        ("net.ipv4.ip_forward", "0", "0x1", True),
        ("net.ipv4.ip_forward", "0", "010", True),
        ("net.ipv4.ip_forward", "0", "08", False),
        ("net.ipv4.ip_forward", "0", "1 2", False),
        ("net.ipv4.ip_local_port_range", "32768 60999", "1024 65000", True),
        ("net.ipv4.ip_local_port_range", "32768 60999", "1024 x", False),
        ("net.ipv4.ip_local_reserved_ports", "80", "80,90-99", True),
        ("net.ipv4.tcp_congestion_control", "cubic", "bbr", True),
        ("net.core.rps_default_mask", "0", "ff", True),
        ("net.ipv4.route.flush", "", "1", True),
    ],
)
def test_values_of_sysctls_are_checked_by_their_kind(name, shown, given, accepted):
    if accepted:
        check_sysctls("sysctls", ((name, given),), {name: shown}, {})
        return
    with pytest.raises(OptionError, match=f"sysctls.{name}: '{given}': give .*on this host it is {shown}"):
        check_sysctls("sysctls", ((name, given),), {name: shown}, {})


@pytest.mark.parametrize(
    ("name", "given", "shown", "same"),
    [
        ("net.ipv4.tcp_keepalive_time", "0x10", "16", True),
        ("net.ipv4.tcp_keepalive_time", "010", "8", True),
        ("net.ipv4.tcp_keepalive_time", "010", "10", False),
        ("net.ipv4.tcp_keepalive_time", "08", "8", False),
        ("net.ipv4.tcp_keepalive_time", "-0x1", "-1", True),
        ("net.ipv4.tcp_keepalive_time", "16", None, False),
        ("net.ipv4.tcp_keepalive_time", "", "16", False),
        ("net.ipv4.tcp_rmem", "4096 0x20000 6291456", "4096 131072 6291456", True),
        ("net.ipv4.tcp_rmem", "4096 131072", "4096 131072 6291456", True),
        ("net.ipv4.tcp_rmem", "4096 131073", "4096 131072 6291456", False),
        ("net.ipv4.tcp_rmem", "1 2 3 4", "1 2 3", False),
        ("net.ipv4.ip_local_reserved_ports", "8080,8081,9000", "8080-8081,9000", True),
        ("net/ipv4/ip_local_reserved_ports", "9000,0x1f90-8081,", "8080-8081,9000", True),
        ("net.ipv4.ip_local_reserved_ports", "8080,9000", "8080-8081,9000", False),
        ("net.ipv4.ip_local_reserved_ports", "1-99999999999", "1-65535", False),
        ("net.ipv4.ip_local_reserved_ports", "http", "80", False),
        ("net.ipv4.ip_local_reserved_ports", "", "80", False),
        ("net.ipv6.conf.eth0/100.stable_secret", "2001:DB8::1", "2001:0db8:0000:0000:0000:0000:0000:0001", True),
        ("net.ipv6.conf.eth0.stable_secret", "2001:db8::1", "", False),
        ("net.ipv4.tcp_fastopen_key", "1-2-3-A", "00000001-00000002-00000003-0000000a", True),
        ("net.ipv4.tcp_fastopen_key", "1-2-3-A", "00000001-00000002-00000003-0000000b", False),
        ("net.core.rps_default_mask", "1,0", "00000001,00000000", True),
        ("net.core.rps_default_mask", "010", "10", True),
        ("net.core.rps_default_mask", "10", "16", False),
        ("net.ipv4.tcp_congestion_control", "bbr", "cubic", False),
    ],
)
def test_values_of_sysctls_are_compared_by_what_they_mean(name, given, shown, same):
    assert same_value(name, given, shown) is same
    wanted, live = ((name, given),), {name: shown}
    assert (plan_sysctls(A, wanted, live) == []) is same
    assert values_after(wanted, live) == {name: shown if same else given}


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("net.ipv4.ip_forward", "net.ipv4.ip_forward"),
        ("net.ipv4.conf.all.forwarding", "net.ipv4.conf.all.forwarding"),
        ("net.ipv4.conf.eth0/100.forwarding", "net.ipv4.conf.default.forwarding"),
        ("net/ipv6/conf/eth0.100/forwarding", "net.ipv6.conf.default.forwarding"),
        ("net.mpls.conf.eth0.input", None),
        ("net.ipv4.neigh.eth0/100.ucast_solicit", "net.ipv4.neigh.lo.ucast_solicit"),
    ],
)
def test_what_is_like_a_sysctl_of_an_interface(name, sample):
    assert sample_of(name) == sample


def test_what_interrupted_runs_leave():
    left = replace(VethObserved(), births=((A, birth_name("a", 0)),))
    assert actions(DESIRED, left)[0].endswith("(left by a run that was interrupted)")
    alone = replace(there(), ends=(there().ends[0], None), joined=False)
    assert actions(DESIRED, alone)[0] == "delete interface eth0 in netns a (its pair is broken)"


def test_a_birth_name_fits_and_differs():
    names = {birth_name(name, end) for name in ("a", "b", "x" * 63) for end in (0, 1)}
    assert len(names) == 6 and all(len(name) <= 15 for name in names)


addresses = st.lists(
    st.builds("10.{}.0.{}/{}".format, st.integers(0, 2), st.integers(1, 5), st.sampled_from([24, 25, 32]))
    | st.builds("fd00::{}/{}".format, st.integers(1, 5), st.sampled_from([64, 128])),
    unique_by=lambda a: a.split("/")[0],
    max_size=6,
)


@given(addresses, addresses)
def test_planned_addresses_lead_to_what_is_wanted_by_the_kernels_rules(before, wanted):
    """A kernel in few lines: a primary takes the secondaries of its subnet along; one IPv6 address has one prefix."""
    now = list(before)
    operations, _bare = plan_addresses("eth0", A, tuple(before), tuple(wanted), False)
    for operation in operations:
        interface = ipaddress.ip_interface(operation.address)
        if type(operation).__name__ == "AddAddress":
            same_ip = [a for a in now if ipaddress.ip_interface(a).ip == interface.ip]
            if operation.address not in now and not (interface.version == 6 and same_ip):
                now.append(operation.address)
            continue
        peers = [a for a in now if ipaddress.ip_interface(a).network == interface.network]
        if interface.version == 4 and peers and peers[0] == operation.address:
            now = [a for a in now if a not in peers]
        elif operation.address in now:
            now.remove(operation.address)
    assert sorted(now) == sorted(wanted)


def named(ours=True, idmap=None, exists=True):
    return NamedNetns("a", NamespaceId(4, 5) if exists else None, ours, idmap)


NETNS = [
    (NetnsDesired("a"), NetnsObserved(), ["create netns a"]),
    (NetnsDesired("a"), NetnsObserved(named(exists=False)), ["create netns a"]),
    (NetnsDesired("a"), NetnsObserved(named(), loopback_up=True), []),
    (NetnsDesired("a"), NetnsObserved(named()), ["lo in netns a: set up"]),
    (NetnsDesired("a", adopt=True), NetnsObserved(named(ours=False)), []),
    (NetnsDesired("a", (7, 2)), NetnsObserved(), ["create netns a, owned by a user namespace of host IDs 7-8"]),
    (
        NetnsDesired("a", sysctls=(("net.a", "1"), ("net.b", "2"))),
        NetnsObserved(named(), True, {"net.a": "0", "net.b": "2"}, samples={"net.a": "0", "net.b": "2"}),
        ["set sysctl net.a to '1' in netns a"],
    ),
]


@pytest.mark.parametrize(("desired", "observed", "expected"), NETNS)
def test_plan_netns(desired, observed, expected):
    assert [o.describe() for o in plan_netns(desired, observed)] == expected


@pytest.mark.parametrize(
    ("desired", "observed", "words"),
    [
        (NetnsDesired("a"), NetnsObserved(named(ours=False)), "exists and is not ours"),
        (NetnsDesired("a"), NetnsObserved(named(ours=False, exists=False)), "no network namespace and not ours"),
        (NetnsDesired("a", (1, 2)), NetnsObserved(named()), "owner of a namespace never changes"),
        (NetnsDesired("a"), NetnsObserved(named(idmap=(1, 2))), "owner of a namespace never changes"),
    ],
)
def test_plan_netns_refuses(desired, observed, words):
    with pytest.raises(Refused, match=words):
        plan_netns(desired, observed)


@pytest.mark.parametrize("observed", [NetnsObserved(), NetnsObserved(named(), True, {"net.x": None})])
def test_sysctls_of_a_namespace_are_checked_before_it_is_made(observed):
    desired = NetnsDesired("a", sysctls=(("net.x", "1"),))
    with pytest.raises(OptionError, match=r"namespaces\[2\].sysctls.net.x: '1': this kernel has no such sysctl"):
        plan_netns(desired, observed, "namespaces[2]")


@pytest.mark.parametrize(
    ("observed", "when", "removed"),
    [
        (NetnsObserved(), "always", False),
        (NetnsObserved(named()), "unused", True),
        (NetnsObserved(named(), links=("eth0",)), "unused", True),
        (NetnsObserved(named(), links=("eth0", "eth1")), "unused", False),
        (NetnsObserved(named(), processes=(7,)), "unused", False),
        (NetnsObserved(named(), processes=(7,)), "always", True),
        (NetnsObserved(named()), "never", False),
        (NetnsObserved(named(ours=False)), "unused", False),
    ],
)
def test_plan_netns_absent(observed, when, removed):
    assert bool(plan_netns_absent("a", observed, when, frozenset(["eth0"]))) is removed


def test_a_foreign_namespace_is_never_removed():
    with pytest.raises(Refused, match="is not ours"):
        plan_netns_absent("a", NetnsObserved(named(ours=False)), "always")


def options(first=None, second=None, **more):
    ends = [{"netns": "a", "interface": "eth0", **(first or {})}, {"interface": "a0", **(second or {})}]
    return {"name": "a", "state": "present", "ends": ends, **more}


def route(**given):
    return {"routes": [{"to": "10.0.0.0/8", **given}]}


BAD = [
    (options(name="../x"), "name"),
    (options(name="a" * 64), "name"),
    (options({"interface": "x" * 16}), "ends[0].interface"),
    (options({"interface": "ein/zwei"}), "ends[0].interface"),
    (options({"interface": ".."}), "ends[0].interface"),
    (options({"interface": "größe"}), "ends[0].interface"),
    (options({"netns": "a/b"}), "ends[0].netns"),
    (options({"path": "/x"}), "ends[0].path"),
    (options({"netns": None, "path": "x"}), "ends[0].path"),
    (options({"netns": None, "pid": 0}), "ends[0].pid"),
    (options({"netns": None, "pid": 2**30}), "ends[0].pid"),
    (options({"pid_start_time": 4}), "ends[0].pid_start_time"),
    (options({"mac": "01:00:00:00:00:01"}), "ends[0].mac"),
    (options({"mac": "02:00:00:00:01"}), "ends[0].mac"),
    (options({"mac": "00:00:00:00:00:00"}), "ends[0].mac"),
    (options({"mtu": 67}), "ends[0].mtu"),
    (options({"mtu": 65536}), "ends[0].mtu"),
    (options({"addresses": ["10.0.0.300/24"]}), "ends[0].addresses"),
    (options({"addresses": ["10.0.0.1/33"]}), "ends[0].addresses"),
    (options({"addresses": ["224.0.0.1/24"]}), "ends[0].addresses"),
    (options({"addresses": ["10.0.0.1/24", "10.0.0.1/25"]}), "ends[0].addresses"),
    (options(route(to="10.0.0.1/8")), "ends[0].routes[0].to"),
    (options(route(to="somewhere")), "ends[0].routes[0].to"),
    (options(route(via="fd00::1")), "ends[0].routes[0].via"),
    (options(route(source="fd00::1")), "ends[0].routes[0].source"),
    (options(route(via="x")), "ends[0].routes[0].via"),
    (options(route(metric=-1)), "ends[0].routes[0].metric"),
    (options(route(table=255)), "ends[0].routes[0].table"),
    (options(route(onlink=True)), "ends[0].routes[0].onlink"),
    *(
        (options(route(via=via, onlink=True, to="::/0" if ":" in via else "default")), "ends[0].routes[0].via")
        for via in ("127.0.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::1", "::1", "::")
    ),
    (options({"routes": [{"to": "default"}, {"to": "0.0.0.0/0"}]}), "ends[0].routes[1].to"),
    (options(None, {"routes": [{"to": "default"}]}), "ends[1].routes[0].to"),
    (options(None, {"routes": [{"to": "::/0"}]}), "ends[1].routes[0].to"),
    (options({"sysctls": {"kernel.hostname": "x"}}), "ends[0].sysctls.kernel.hostname"),
    (options({"sysctls": {"net.ipv4..x": "x"}}), "ends[0].sysctls"),
    (options({"sysctls": {"net/../kernel": "x"}}), "ends[0].sysctls"),
    (options({"sysctls": {"net.x": [1]}}), "ends[0].sysctls.net.x"),
    (options({"impairment": {"jitter": "1ms"}}), "ends[0].impairment.jitter"),
    (options({"impairment": {"delay": "1h"}}), "ends[0].impairment.delay"),
    (options({"impairment": {"delay": "300s"}}), "ends[0].impairment.delay"),
    (options({"impairment": {"loss": "101%"}}), "ends[0].impairment.loss"),
    (options({"impairment": {"loss": "-1%"}}), "ends[0].impairment.loss"),
    (options({"impairment": {"delay": "1ms", "limit": 0}}), "ends[0].impairment.limit"),
    (options({"impairment": {"delay": "1ms", "limit": -1}}), "ends[0].impairment.limit"),
    (options({"impairment": {"delay": "1ms", "limit": 2**40}}), "ends[0].impairment.limit"),
    (options({"impairment": {"limit": 5}}), "ends[0].impairment.limit"),
    (options({"addresses": ["10.0.0.1"]}), "ends[0].addresses"),
    (options({"impairment": {"rate": "40gbit"}}), "ends[0].impairment.rate"),
    (options({"impairment": {"rate": "1bit"}}), "ends[0].impairment.rate"),
    (options({"impairment": {"burst": 9000}}), "ends[0].impairment.burst"),
    (options({"impairment": {"rate": "1mbit", "burst": 9}}), "ends[0].impairment.burst"),
    (options({"impairment": {"loss": "1%", "burst": 9000}}), "ends[0].impairment.burst"),
    (options(None, {"netns": "a", "interface": "eth0"}), "ends[1].interface"),
    ({**options(), "ends": options()["ends"][:1]}, "ends"),
    ({**options(), "ends": []}, "ends"),
    (options(namespaces=[{"name": "x"}, {"name": "x"}]), "namespaces[1].name"),
    (options({"addresses": ["::ffff:10.0.0.2/120"]}), "ends[0].addresses"),
    (options({"routes": [{"to": "::ffff:10.0.0.0/104", "via": "fd99::1"}]}), "ends[0].routes[0].to"),
    (options({"routes": [{"to": "fd98::/64", "via": "::ffff:10.0.0.1"}]}), "ends[0].routes[0].via"),
    (
        options({"addresses": ["fd99::2/64"], "sysctls": {"net.ipv6.conf.eth0.disable_ipv6": True}}),
        "ends[0].addresses",
    ),
    (
        options(
            {"addresses": ["fd99::2/64"]}, namespaces=[{"name": "a", "sysctls": {"net.ipv6.conf.all.disable_ipv6": 1}}]
        ),
        "ends[0].addresses",
    ),
    (
        options(
            {"sysctls": {"net/ipv4/ip_forward": 0}}, namespaces=[{"name": "a", "sysctls": {"net.ipv4.ip_forward": 1}}]
        ),
        "ends[0].sysctls.net.ipv4.ip_forward",
    ),
    (options(namespaces=[{"name": "x", "owner": {"host_id": 0, "size": 5}}]), "namespaces[0].owner.host_id"),
    (options(namespaces=[{"name": "x", "owner": {"host_id": 5, "size": 2**32}}]), "namespaces[0].owner.size"),
]


@pytest.mark.parametrize(("params", "option"), BAD, ids=[f"{n}-{b[1]}" for n, b in enumerate(BAD)])
def test_bad_options_name_themselves(params, option):
    with pytest.raises(OptionError) as refused:
        NetnsVeth().desired(params)
    assert refused.value.option == option


def test_options_are_normalised():
    first = {"addresses": ["FD00:0::1/64", "10.0.0.1/32"], "mac": "02-AA-00-00-00-01", "sysctls": {"net.x": True}}
    first["routes"] = [{"to": "default", "via": "fd00::2"}, {"to": "default", "via": "10.0.0.2"}]
    end = NetnsVeth().desired(options(first)).veth.ends[0]
    assert end.addresses == ("fd00::1/64", "10.0.0.1/32")
    assert (end.mac, end.sysctls) == ("02:aa:00:00:00:01", (("net.x", "1"),))
    assert [(r.to, r.metric) for r in end.routes] == [("::/0", 1024), ("0.0.0.0/0", 0)]


@pytest.mark.parametrize(
    ("text", "expected"), [("10ms", 10**7), ("1.5s", 15 * 10**8), ("250us", 250000), ("100 ns", 100), ("3", 3 * 10**6)]
)
def test_times(text, expected):
    assert parse_time("o", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("8bit", 1), ("10mbit", 1250000), ("1.5Gbit", 187500000), ("1mbps", 10**6), ("1kibit", 128)]
)
def test_rates(text, expected):
    assert parse_rate("o", text) == expected


@given(st.text(max_size=20))
def test_whatever_is_written_is_a_quantity_or_an_option_error(text):
    for parse, most in ((parse_time, (2**32 - 1) * 64), (parse_percent, 2**32 - 1), (parse_rate, 2**32 - 1)):
        try:
            assert 0 <= parse("o", text) <= most
        except OptionError as error:
            assert error.option == "o"


@given(st.integers(0, 1000))
def test_a_share_is_read_as_it_is_shown(tenths):
    qdisc = parse_impairment("o", {"loss": f"{tenths / 10}%"})
    assert (qdisc is None) if tenths == 0 else float(described(qdisc)["loss"][:-1]) == pytest.approx(tenths / 10)


def test_an_impairment_in_the_kernels_units():
    full = {"delay": "64us", "jitter": "64ns", "loss": "100%", "reorder": "50%", "rate": "8kbit", "limit": 9}
    qdisc = parse_impairment("o", full)
    assert qdisc.kind == "netem" and dict(qdisc.options) == {
        "delay": 1000,
        "jitter": 1,
        "loss": 2**32 - 1,
        "reorder": 2**31,
        "gap": 1,
        "rate": 1000,
        "limit": 9,
    }
    assert parse_impairment("o", {"rate": "8mbit"}) == Qdisc(
        "tbf", (("buffer", 1024000), ("limit", 50000 + 65536), ("rate", 1000000))
    )
    assert parse_impairment("o", {"loss": "0%"}) is parse_impairment("o", {}) is None


@pytest.mark.parametrize(
    ("name", "path", "interface"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward", None),
        ("net.ipv4.conf.all.rp_filter", "net/ipv4/conf/all/rp_filter", None),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter", "eth0.100"),
        ("net/ipv6/conf/eth0.100/mtu", "net/ipv6/conf/eth0.100/mtu", "eth0.100"),
        ("net.ipv6.neigh.eth0.ucast_solicit", "net/ipv6/neigh/eth0/ucast_solicit", "eth0"),
    ],
)
def test_names_of_sysctls(name, path, interface):
    assert sysctl.path_of(name) == f"/proc/sys/{path}"
    assert interface_of(name) == interface
    assert parse_netns_sysctls("o", {name: " a\t b "}) == ((dotted(name), "a b"),)


@given(st.text(alphabet="ab./", max_size=12))
def test_no_sysctl_leaves_its_directory(text):
    try:
        path = sysctl.path_of(text)
    except ValueError:
        return
    assert path.startswith("/proc/sys/") and not {"", ".", ".."} & set(path[len("/proc/sys/") :].split("/"))


def test_an_address_behind_a_port_is_one_in_whatever_vlans(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that can filter VLANs answers with an entry for the port's VLAN and one without."""
    entries = [("02:00:00:00:00:01", 64), ("02:00:00:00:00:01", 64), ("02:00:00:00:00:02", 2)]
    monkeypatch.setattr(netlink_fdb, "_entries", lambda _port, _netns: iter(entries))
    assert netlink_fdb.behind(6) == ("02:00:00:00:00:01", "02:00:00:00:00:02")


FORWARDS, EACH = "net.ipv4.ip_forward", "net.ipv4.conf.eth0.forwarding"
PORTS, SECRET = "net.ipv4.ip_local_reserved_ports", "net.ipv6.conf.eth0.stable_secret"
#: Live values, what each was before, those that have the value of new interfaces, and what is written in which order.
BACK: list[tuple[dict[str, str | None], tuple[str | None, ...], tuple[str, ...], dict[str, str]]] = [
    ({EACH: "0", FORWARDS: "1"}, ("1", "0"), (EACH,), {FORWARDS: "0"}),
    ({EACH: "0", FORWARDS: "1"}, ("1", "0"), (), {FORWARDS: "0", EACH: "1"}),
    ({EACH: "1", FORWARDS: "1"}, ("1", "0"), (), {FORWARDS: "0", EACH: "1"}),
    ({EACH: "0", FORWARDS: "1"}, ("1", "1"), (EACH,), {EACH: "1"}),
    ({PORTS: "80", "net.core.somaxconn": "9"}, ("", None), (), {PORTS: ""}),
    ({SECRET: "::1", "net.core.somaxconn": None}, ("", "1"), (), {}),
]


@pytest.mark.parametrize(("live", "before", "news", "written"), BACK)
def test_parameters_go_back(
    live: dict[str, str | None], before: tuple[str | None, ...], news: tuple[str, ...], written: dict[str, str]
) -> None:
    assert list(going_back(dict(zip(live, before)), live, news).items()) == list(written.items())


@pytest.mark.parametrize("value", ["1\n2", "1\n", "1\0", "1\r2"])
def test_a_parameter_is_one_line(value: str) -> None:
    with pytest.raises(OptionError, match="net.core.somaxconn: .*is one line"):
        sysctl_text("net.core.somaxconn", value)
