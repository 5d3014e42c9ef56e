# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""netns_veth on the real kernel: every property in place, every repair, every refusal."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted, converge
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (
    namespaces,
    netlink_ip,
    netlink_links,
    netlink_messages,
    netlink_qdisc,
    netns,
    process,
    sysctl,
    sysctl_carried,
    sysctl_names,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import HOST, NetnsRef
from ansible_collections.barekernel.containers.plugins.module_utils._links import observe as netns_observe
from ansible_collections.barekernel.containers.plugins.module_utils._links.operations import birth_name
from ansible_collections.barekernel.containers.plugins.module_utils._links.resource import NetnsVeth, NetnsVethInfo

from . import state
from .module_process import HOST_PYTHON, run_module
from .veth import BASE, A, addresses, far, ip, link, near, qdisc, reachable, remove, routes, task, tidy

__all__ = ["tidy"]


def test_usable_when_the_task_ends():
    task(*BASE)
    for where, name in (("bktest-a", "eth0"), ("", "bktest0")):
        usable = {a["local"]: "tentative" not in a for a in ip("addr", "show", name, where=where)[0]["addr_info"]}
        assert all(ready for address, ready in usable.items() if address.startswith("fd99"))
    assert reachable("10.99.0.1") and reachable("fd99::1")
    assert link()["ifalias"] == "barekernel:veth/bktest/0"
    assert link("bktest0", "")["ifalias"] == "barekernel:veth/bktest/1"
    assert link("lo")["flags"] == ["LOOPBACK", "UP", "LOWER_UP"]


CHANGES = [
    ({"mtu": 1400}, lambda: link()["mtu"] == 1400),
    ({"mac": "02:aa:bb:cc:dd:01"}, lambda: link()["address"] == "02:aa:bb:cc:dd:01"),
    ({"up": False}, lambda: "UP" not in link()["flags"] and routes() == []),
    ({"addresses": ["10.99.0.3/24", "fd99::2/64"]}, lambda: addresses() == ["10.99.0.3/24", "fd99::2/64"]),
    ({"addresses": ["10.99.0.2/25", "fd99::2/72"]}, lambda: addresses() == ["10.99.0.2/25", "fd99::2/72"]),
    ({"addresses": ["10.99.0.2/24"]}, lambda: addresses() == ["10.99.0.2/24"]),
    (
        {"addresses": ["10.98.0.2/24"], "routes": [{"to": "default", "via": "10.98.0.1"}]},
        lambda: addresses() == ["10.98.0.2/24"] and routes() == [("default", "10.98.0.1", None)],
    ),
    (
        {"addresses": ["10.99.0.9/24", "10.99.0.2/24"]},
        lambda: addresses() == ["10.99.0.2/24", "10.99.0.9/24"],
    ),
    ({"routes": []}, lambda: routes() == []),
    (
        {"routes": [{"to": "default", "via": "10.99.0.7"}]},
        lambda: routes() == [("default", "10.99.0.7", None)],
    ),
    (
        {"routes": [{"to": "default", "via": "10.99.0.1", "metric": 7}, {"to": "192.0.2.0/24", "via": "10.99.0.1"}]},
        lambda: routes() == [("192.0.2.0/24", "10.99.0.1", None), ("default", "10.99.0.1", 7)],
    ),
    (
        {"routes": [{"to": "192.0.2.1/32"}, {"to": "default", "via": "192.0.2.1"}]},
        lambda: routes() == [("192.0.2.1", None, None), ("default", "192.0.2.1", None)],
    ),
    (
        {"routes": [{"to": "default", "via": "192.0.2.1", "onlink": True, "source": "10.99.0.2"}]},
        lambda: [r.get("prefsrc") for r in ip("route", "show", "default", where="bktest-a")] == ["10.99.0.2"],
    ),
    (
        {"routes": [{"to": "10.5.0.0/16", "via": "10.99.0.1", "table": 77}]},
        lambda: (
            [r["dst"] for r in ip("route", "show", "table", "all", where="bktest-a") if r.get("table") == "77"]
            == ["10.5.0.0/16"]
        ),
    ),
    (
        {"routes": [{"to": "default", "via": "fd99::1", "metric": 50}]},
        lambda: routes(version="-6") == [("default", "fd99::1", 50)],
    ),
    (
        {"sysctls": {"net.ipv4.ip_forward": True, "net.ipv4.conf.eth0.rp_filter": 2}},
        lambda: netns_sysctl("net/ipv4/ip_forward") == "1" and netns_sysctl("net/ipv4/conf/eth0/rp_filter") == "2",
    ),
    ({"impairment": {"rate": "10mbit"}}, lambda: qdisc()["options"].get("rate") == 1250000),
]


def netns_sysctl(path):
    command = ["ip", "netns", "exec", "bktest-a", "cat", f"/proc/sys/{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("change", "holds"), CHANGES, ids=lambda value: str(value)[:60] if isinstance(value, dict) else None
)
def test_a_change_is_made_on_the_living_link_and_taken_back(change, holds):
    task(*BASE)
    before, original = link()["ifindex"], state.take()
    assert not holds()
    outcome = task({**BASE[0], **change}, BASE[1])
    assert outcome.changed and holds()
    assert link()["ifindex"] == before
    undo = {"mtu": 1500, "mac": original_mac(original), "impairment": {}}
    back = {"sysctls": {"net.ipv4.ip_forward": False, "net.ipv4.conf.eth0.rp_filter": 0}} if "sysctls" in change else {}
    task({**BASE[0], **undo, **back}, BASE[1])
    assert not holds() and link()["ifindex"] == before
    assert reachable("10.99.0.1") and reachable("fd99::1")


SIX = [{"to": "default", "via": "fd99::1"}, {"to": "fd55::/64", "via": "fd99::1", "source": "fd99::3"}]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("left", [["10.99.0.2/24", "fd99::2/64"], ["10.99.0.2/24"], ["fd99::2/64"], []])
def test_routes_of_a_family_whose_addresses_go(left, declared):
    """IPv4 routes go with the last address, or with the one that is their source; IPv6 routes stay."""
    four = [{"to": "default", "via": "10.99.0.1"}, {"to": "10.5.0.0/16", "via": "10.99.0.1", "source": "10.99.0.3"}]
    task({"addresses": ["10.99.0.2/24", "10.99.0.3/24", "fd99::2/64", "fd99::3/64"], "routes": four + SIX}, BASE[1])
    outcome = task({"addresses": left, "routes": [] if declared else None}, BASE[1])
    assert addresses() == left
    kept = [("default", "10.99.0.1", None)] if left[:1] == ["10.99.0.2/24"] and not declared else []
    assert routes() == kept
    six = [("default", "fd99::1", 1024), ("fd55::/64", "fd99::1", 1024)]
    assert routes(version="-6") == ([] if declared else sorted(six, key=str))
    assert len(outcome.plan.after["ends[0]"]["routes"]) == len(kept) + (0 if declared else 2)


def test_ipv6_addresses_that_hold_ipv4_are_compared_by_what_they_are():
    """The kernel's spelling of them is not Python's."""
    routes_ = [{"to": "::5.0.0.0/104", "via": "::1.2.3.1"}]
    task({"addresses": ["::1.2.3.4/96"], "routes": routes_}, BASE[1])
    assert not task({"addresses": ["::1.2.3.4/96"], "routes": routes_}, BASE[1]).changed


def test_a_link_local_address_that_is_declared():
    assert task({"addresses": ["fe80::1234/64", "10.99.0.2/24"]}).changed
    assert "fe80::1234" in json.dumps(ip("addr", where="bktest-a"))


def original_mac(taken):
    return next(i["address"] for i in taken["network bktest-a"][0] if i["ifname"] == "eth0")


def test_a_new_impairment_replaces_the_old_in_place():
    task({"impairment": {"rate": "10mbit"}})
    handle = qdisc()["handle"]
    task({"impairment": {"rate": "20mbit", "burst": 100000}})
    assert (qdisc()["handle"], qdisc()["options"]["rate"]) == (handle, 2500000)
    task()
    assert qdisc()["kind"] != "tbf", "one that is declared no longer goes"
    command = ["tc", "-n", "bktest-a", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "9k"]
    subprocess.run([*command, "limit", "90k"], check=True)
    task()
    assert qdisc()["kind"] == "tbf", "one that was never declared stays"


def test_what_this_kernel_cannot_impair_is_refused_before_anything_is_made():
    assert netns_observe.netlink_qdisc.offered(netns_observe.netlink_qdisc.Qdisc("no_such")) is False
    before = state.take()
    resource = NetnsVeth()
    ends = [near(impairment={"delay": "10ms", "loss": "1%"}), far()]
    desired = resource.desired({"name": "bktest", "state": "present", "ends": ends})
    if netns_observe.netlink_qdisc.offered(desired.veth.ends[0].qdisc):
        converge(resource, desired)
        assert qdisc()["options"]["delay"]["delay"] == pytest.approx(0.01)
        return
    with pytest.raises(OptionError, match="impairment: .*this kernel has no netem .*sch_netem"):
        converge(resource, desired)
    assert state.differences(before, state.take()) == []


def test_bridge_port_and_its_flags():
    ip("link", "add", "bkbr0", "type", "bridge")
    ip("link", "add", "bkbr1", "type", "bridge")
    try:
        task(None, {"bridge": "bkbr0"})
        index = link("bktest0", "")["ifindex"]
        assert port() == ("bkbr0", False, False)
        task(None, {"bridge": "bkbr0", "hairpin": True})
        assert port() == ("bkbr0", True, False)
        task(None, {"bridge": "bkbr0", "isolated": True})
        assert port() == ("bkbr0", True, True)
        task(None, {"bridge": "bkbr1", "isolated": True})
        assert port() == ("bkbr1", False, True)
        task(None, {})
        assert port() == ("bkbr1", False, True), "what is not declared stays"
        task(None, {"bridge": ""})
        assert "master" not in link("bktest0", "") and link("bktest0", "")["ifindex"] == index
        for wrong, words in (
            ("bkbr9", "there is no bridge of that name"),
            ("bktest0", "is no bridge in the host but veth"),
        ):
            with pytest.raises(OptionError, match=rf"ends\[1\].bridge: '{wrong}': {words}"):
                task(None, {"bridge": wrong})
        with pytest.raises(OptionError, match="hairpin: True: .*name the bridge"):
            task(None, {"hairpin": True})
    finally:
        ip("link", "delete", "bkbr0")
        ip("link", "delete", "bkbr1")


def port():
    found = link("bktest0", "")
    data = found["linkinfo"]["info_slave_data"]
    return found["master"], data["hairpin"], data["isolated"]


def test_exclusive_or_not():
    task(*BASE)
    ip("addr", "add", "10.77.0.1/24", "dev", "eth0", where="bktest-a")
    ip("route", "add", "192.0.2.0/24", "via", "10.99.0.1", where="bktest-a")
    task({"addresses": ["10.99.0.2/24"], "routes": []}, exclusive=False)
    # Ours go that are declared no longer, and no others.
    assert addresses() == ["10.77.0.1/24", "10.99.0.2/24"] and routes() == [("192.0.2.0/24", "10.99.0.1", None)]
    task({}, exclusive=True)
    assert len(addresses()) == 2, "a list that is not given leaves all alone"
    task({"addresses": ["10.99.0.2/24"], "routes": []}, exclusive=True)
    assert addresses() == ["10.99.0.2/24"] and routes() == []


OSPF = ["192.0.2.0/24", "via", "10.99.0.1", "proto", "ospf"]
VIPS = [["10.99.0.10/32", "label", "eth0:vip"], ["10.99.0.11/32", "noprefixroute"]]


@pytest.mark.parametrize("exclusive", [True, False])
def test_what_another_program_has_marked_is_its_own(exclusive):
    """It would set that again: the task would fail for ever, or the two would take turns."""
    task(*BASE)
    ip("route", "add", *OSPF, where="bktest-a")
    ip("route", "add", "10.50.0.0/16", "via", "10.99.0.1", "proto", "dhcp", where="bktest-a")
    for vip in VIPS:
        ip("addr", "add", *vip, "dev", "eth0", where="bktest-a")
    netlink_ip.add_address("eth0", "10.99.0.9/32", NetnsRef.named("bktest-a"), protocol=18)
    task({"addresses": ["10.99.0.3/24"], "routes": [{"to": "10.60.0.0/16", "via": "10.99.0.1"}]}, exclusive=exclusive)
    task({"addresses": ["10.99.0.2/24"], "routes": []}, exclusive=exclusive)
    assert addresses() == ["10.99.0.10/32", "10.99.0.11/32", "10.99.0.2/24", "10.99.0.9/32"]
    assert sorted(to for to, _via, _metric in routes()) == ["10.50.0.0/16", "192.0.2.0/24"]


def test_what_is_declared_no_longer_goes_back():
    """Parameters of a namespace and of either end, and impairments; not what somebody else has changed since."""
    names = {"net.core.somaxconn": 99, "net.ipv4.conf.eth0.log_martians": 1, "net.ipv6.conf.eth0.hop_limit": 33}
    spaces = [{"name": "bktest-a", "sysctls": {"net.ipv4.ip_local_reserved_ports": "8080,9090"}}]
    ref, where = NetnsRef.named("bktest-a"), [*names, "net.ipv4.ip_local_reserved_ports"]

    def live():
        return [sysctl.read(name, ref) for name in where]

    task()
    before = live()
    record = Path("/run/barekernel/veth/bktest.json")
    assert not record.exists()
    first = {"sysctls": names, "impairment": {"rate": "5mbit"}}
    task(first, {"impairment": {"rate": "10mbit"}}, namespaces=spaces)
    assert live() == ["99", "1", "33", "8080,9090"] and qdisc()["kind"] == "tbf"
    [change] = [c for c in task(first).plan.changes if "reserved" in c.option]
    assert (change.before, change.after) == ("8080,9090", before[3])
    assert b"tbf" not in subprocess.check_output(["tc", "qdisc", "show", "dev", "bktest0"])
    assert qdisc()["kind"] == "tbf"
    sysctl.write("net.core.somaxconn", "77", ref)
    task({"sysctls": {"net/ipv4/conf/eth0/log_martians": 1}})  # the same in other words
    assert live() == ["77", "1", *before[2:]] and qdisc()["kind"] != "tbf"
    task()
    assert live() == ["77", *before[1:]] and not record.exists()
    # With the pair everything goes back that stays: the namespace is not removed.
    task({"sysctls": {"net.core.somaxconn": 55}})
    remove(remove_namespaces="never")
    assert sysctl.read("net.core.somaxconn", ref) == "77" and not record.parent.exists()


REDIRECTS, EACH = "net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.eth0.forwarding"


def test_parameters_that_overwrite_others_are_set_first():
    """Whatever the order in which they are declared, also where the pair's task and the namespace's name one each."""
    ref = NetnsRef.named("bktest-a")
    task()
    first = {"sysctls": {REDIRECTS: 1, EACH: 0, "net.ipv4.ip_forward": 1}}
    task(first)
    assert [sysctl.read(n, ref) for n in (REDIRECTS, EACH, "net.ipv4.ip_forward")] == ["1", "0", "1"]
    task({"sysctls": {REDIRECTS: 0, EACH: 1}}, namespaces=[{"name": "bktest-a", "sysctls": {"net.ipv4.ip_forward": 0}}])
    assert [sysctl.read(n, ref) for n in (REDIRECTS, EACH, "net.ipv4.ip_forward")] == ["0", "1", "0"]
    # conf/default goes to the interfaces that have no value of their own yet, such as one without an address.
    spaces = [{"name": "bktest-a", "sysctls": {"net.ipv4.conf.default.rp_filter": 1}}]
    bare = {"addresses": [], "routes": []}
    remove()
    task({**bare, "sysctls": {"net.ipv4.conf.eth0.rp_filter": 0}})
    task({**bare, "sysctls": {"net.ipv4.conf.eth0.rp_filter": 0}}, namespaces=spaces)
    assert sysctl.read("net.ipv4.conf.eth0.rp_filter", ref) == "0"


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_what_the_kernel_overwrites_in_a_namespace_goes_back_too(family):
    """As bridge_network puts it back on the host."""
    ref, switch = NetnsRef.named("bktest-a"), f"net.{family}.conf.all.forwarding"
    netns.create_named_netns("bktest-a")
    explicit = {"net.ipv4.conf.all.accept_redirects": "0", f"net.{family}.conf.lo.forwarding": "1"}

    def live():
        names = [
            f"net/{fam}/conf/{entry}/{leaf}"
            for fam in ("ipv4", "ipv6")
            for entry in ("all", "default", "lo")
            for leaf in ("forwarding", "accept_redirects")
        ]
        return sysctl.read_many(tuple(names), ref)

    for name, value in explicit.items():
        sysctl.write(name, value, ref)
    before = live()
    task({"sysctls": {switch: 1}})
    task({"mtu": 1400, "sysctls": {switch: 1}})
    assert sysctl.read(f"net.{family}.conf.default.forwarding", ref) == "1"
    task({"mtu": 1400})
    assert live() == before
    # What somebody has changed since is left to the kernel.
    task({"sysctls": {switch: 1}})
    sysctl.write(f"net.{family}.conf.lo.forwarding", "0", ref)
    task()
    assert live() == {**before, f"net/{family}/conf/lo/forwarding": "0"}
    assert not Path("/run/barekernel/veth/bktest.json").exists()


def shown_by_kernel(ref):
    """Every parameter of IPv4 and IPv6 there that shows a number."""
    found = {}
    with namespaces.inside_netns(ref):
        for path in Path("/proc/sys/net").glob("ipv[46]/**/*"):
            if path.is_file() and path.stat().st_mode & 0o400:
                name = sysctl_names.name_of(str(path))
                found[name] = sysctl.read(name)
    return found


def test_what_a_parameter_overwrites_is_what_the_kernel_does():
    """Each of those that are about all interfaces or about new ones is written, and every other one compared."""
    task({"addresses": [], "routes": []}, {"addresses": ["10.99.0.1/24"]})
    ref = NetnsRef.named("bktest-a")
    before = shown_by_kernel(ref)
    overwriting = set()
    for name in [n for n in before if re.search(r"/conf/(all|default)/|^net/ipv[46]/(ip_forward|route/)", n)]:
        if not re.fullmatch(r"\d+", before[name] or ""):
            continue
        value = str(int(before[name]) - 1) if before[name] != "0" else "1"
        try:
            sysctl.write(name, value, ref)
        except KernelError:
            continue
        after = shown_by_kernel(ref)
        changed = {n: after[n] for n in after if n != name and after[n] != before[n]}
        foreseen = sysctl_carried.carried(name, after[name], before)
        assert {n: foreseen.get(n) or changed[n] for n in changed if n in foreseen} == changed, name
        assert {n: v for n, v in foreseen.items() if v} == {n: after[n] for n in foreseen if foreseen[n]}, name
        overwriting.update([name] if changed else [])
        for each in (name, *changed):
            sysctl.write(each, before[each], ref)
        before = shown_by_kernel(ref)
    assert {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/default/rp_filter"} <= overwriting


def unshared():
    """A process in a network namespace of its own."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
    holder.stdout.readline()
    return holder


def test_an_end_at_a_process_and_the_guard_against_reuse():
    holder = unshared()
    started = process.start_time(holder.pid)
    try:
        first = {"netns": None, "pid": holder.pid, "pid_start_time": started, "addresses": ["10.99.0.2/24"]}
        task(first, {"addresses": ["10.99.0.1/24"]})
        assert "10.99.0.2" in json.dumps(in_netns_of(holder.pid))
        with pytest.raises(OptionError, match="belongs to another process"):
            task({**first, "pid_start_time": started - 1})
        with pytest.raises(KernelError, match="belongs to another process|its PID is another's now"):
            namespaces.open_netns(NetnsRef.of_process(holder.pid, started - 1))
        # The process that was meant ends, between looking and acting, and the PID means nobody.
        resource = NetnsVeth()
        params = {"name": "bktest", "state": "present", "ends": [near(**{**first, "mtu": 1400}), far()]}
        desired = resource.desired(params)
    finally:
        holder.kill()
        holder.wait()
    with pytest.raises(OptionError, match="pid: .*no such process"):
        converge(resource, desired)
    with pytest.raises(OptionError, match="no such process"):
        resource.desired(params)
    assert resource.desired({**params, "state": "absent"}).present is False


def in_netns_of(pid):
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-j", "addr"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_an_end_by_path_and_at_a_container():
    netns.create_named_netns("bktest-a")
    netns.create_named_netns("bk-bktest")
    first = {"netns": None, "path": "/run/netns/bktest-a"}
    task(first, {"container": "bktest", "interface": "lan0"})
    assert link("lan0", "bk-bktest")["ifalias"] == "barekernel:veth/bktest/1"
    # By that name it would be made, and go with the container that comes later.
    with pytest.raises(OptionError, match="netns: 'bk-bktest': is the network namespace of a container"):
        task(first, {"netns": "bk-bktest"})
    with pytest.raises(OptionError, match="name: 'bk-other': is the network namespace of a container"):
        task(ends=[], namespaces=[{"name": "bk-other"}])
    with pytest.raises(OptionError, match="container: 'nobody': .*make the container first"):
        task(first, {"container": "nobody"})
    with pytest.raises(OptionError, match="path: '/run/nothing': there is no network namespace"):
        task({"netns": None, "path": "/run/nothing"})
    with pytest.raises(OptionError, match="path: '/etc/passwd': there is no network namespace"):
        task({"netns": None, "path": "/etc/passwd"})


def test_the_hosts_default_route_is_never_touched():
    route = [{"to": "default", "via": "10.99.0.2"}]
    with pytest.raises(OptionError, match="never touched"):
        task(None, {"addresses": ["10.99.0.1/24"], "routes": route})
    here = {"netns": None, "path": f"/proc/{os.getpid()}/ns/net", "addresses": ["10.99.0.1/24"], "interface": "bktest1"}
    with pytest.raises(OptionError, match="never touched"):
        task({**here, "routes": route})
    task(None, {"addresses": ["10.99.0.1/24"]})
    ip("route", "add", "default", "via", "10.99.0.2")
    task(None, {"addresses": ["10.99.0.1/24"], "routes": []})
    assert routes("bktest0", "") == [("default", "10.99.0.2", None)]


@pytest.mark.parametrize(
    ("theirs", "ours", "holder"),
    [
        (["10.50.0.0/16", "dev", "bkother"], {"to": "10.50.0.0/16", "via": "10.99.0.2"}, "bkother"),
        (["fd50::/64", "dev", "bkother"], {"to": "fd50::/64", "via": "fd99::2"}, "bkother"),
        (["blackhole", "10.50.0.0/16"], {"to": "10.50.0.0/16", "via": "10.99.0.2"}, "no interface"),
    ],
)
def test_a_route_that_another_interface_has_is_refused(theirs, ours, holder):
    ip("link", "add", "bkother", "up", "type", "bridge")
    try:
        ip("route", "add", *theirs)
        end = {"addresses": ["10.99.0.1/24", "fd99::1/64"]}
        with pytest.raises(OptionError, match=r"ends\[1\].routes\[0\].to: .*through " + holder):
            task(None, {**end, "routes": [ours]})
        assert netlink_links.link("bktest0") is None
        result = task(None, {**end, "routes": [{**ours, "metric": 7}]})
        assert result.changed, "another metric makes it another route"
    finally:
        ip("link", "delete", "bkother")
        subprocess.run(["ip", "route", "delete", *theirs], check=False, stderr=subprocess.DEVNULL)


def test_a_process_that_nobody_may_look_at_is_left_out(monkeypatch):
    """As PID 1 is in some sandboxes: the pair is looked for wherever it can be."""
    identity = namespaces.netns_identity

    def guarded(ref):
        if ref.kind == "pid" and ref.value == "1":
            raise KernelError(errno.EACCES, "open", "/proc/1/ns/net")
        return identity(ref)

    monkeypatch.setattr(namespaces, "netns_identity", guarded)
    assert task(*BASE).changed
    assert remove().changed


def test_one_default_route_for_two_pairs():
    """They would take it from each other for ever."""
    task(*BASE)
    again = {"name": "bktest-2", "ends": [{"netns": "bktest-a", "interface": "eth1"}, {"interface": "bktest2"}]}
    again["ends"][0].update(addresses=["10.98.0.2/24"], routes=[{"to": "default", "via": "10.98.0.1"}])
    with pytest.raises(OptionError, match="through eth0: give this one another metric"):
        task(**again)
    again["ends"][0]["routes"][0]["metric"] = 100
    task(**again)
    remove(name="bktest-2")


def test_host_sysctls_only_of_the_interface():
    task(None, {"sysctls": {"net.ipv4.conf.bktest0.rp_filter": 2}})
    assert Path("/proc/sys/net/ipv4/conf/bktest0/rp_filter").read_text() == "2\n"
    for name in ("net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.lo.rp_filter"):
        with pytest.raises(OptionError, match="belongs to"):
            task(None, {"sysctls": {name: 1}})
    with pytest.raises(OptionError, match="sysctls.net.ipv4.nonsense: '1': this kernel has no such"):
        task({"sysctls": {"net.ipv4.nonsense": 1}})
    with pytest.raises(OptionError, match="sysctls.net.ipv6.neigh.eth0.nonsense: '1': this kernel has no such"):
        task({"sysctls": {"net.ipv6.neigh.eth0.nonsense": 1}})


RESPELLED = [
    ("net.ipv4.ip_local_reserved_ports", "8080,8081,9000", "8080-8081,9000"),
    ("net.ipv4.tcp_keepalive_time", "0x10", "16"),
    ("net.ipv4.tcp_keepalive_time", "010", "8"),
    ("net.ipv4.tcp_rmem", "8192", "8192\t"),
    ("net.ipv4.tcp_fastopen_key", "1-2-3-A", "00000001-00000002-00000003-0000000a"),
    ("net.ipv6.conf.eth0.stable_secret", "2001:db8::0001", "2001:0db8:0000:0000:0000:0000:0000:0001"),
    ("net.ipv4.neigh.eth0.ucast_solicit", "0x5", "5"),
]


@pytest.mark.parametrize(("name", "given", "shown"), RESPELLED)
def test_sysctls_that_the_kernel_respells(name, given, shown):
    assert task({"sysctls": {name: given}}).changed
    assert netns_sysctl(name.replace(".", "/")).startswith(shown)
    again = task({"sysctls": {name: given}})
    assert not again.changed and again.plan.changes == ()


def test_a_sysctl_of_a_namespace_that_the_kernel_respells():
    spaces = [{"name": "bktest-a", "sysctls": {"net.ipv4.ip_local_reserved_ports": "81,80"}}]
    assert task(namespaces=spaces).changed
    assert netns_sysctl("net/ipv4/ip_local_reserved_ports") == "80-81"
    again = task(namespaces=spaces)
    assert not again.changed and again.plan.changes == ()


@pytest.mark.parametrize("live", [True, False])
def test_renamed_by_hand_or_by_declaration(live, monkeypatch):
    if not live:  # as before Linux 6.2, where a link must be down for it and loses its routes
        monkeypatch.setattr(netns_observe, "_release", lambda: (6, 1))
    task(*BASE)
    index = link()["ifindex"]
    ip("link", "set", "eth0", "down", where="bktest-a")
    ip("link", "set", "eth0", "name", "strange0", "up", where="bktest-a")
    task(*BASE)
    assert link()["ifindex"] == index and reachable("10.99.0.1")
    task({**BASE[0], "interface": "wan0"}, {**BASE[1], "interface": "bktest9"})
    assert (link("wan0")["ifindex"], link("bktest9", "")["ifalias"]) == (index, "barekernel:veth/bktest/1")
    assert reachable("10.99.0.1") and reachable("fd99::1")


def test_moved_by_hand_or_by_declaration():
    task(*BASE)
    mac = link()["address"]
    ip("netns", "add", "bktest-c")
    ip("link", "set", "eth0", "netns", "bktest-c", where="bktest-a")
    outcome = task(*BASE)
    assert "eth0 in netns bktest-c: move to netns bktest-a" in outcome.plan.actions
    assert link()["address"] == mac and reachable("10.99.0.1")
    task({**BASE[0], "netns": "bktest-b"}, BASE[1])
    assert link(where="bktest-b")["address"] == mac and reachable("10.99.0.1", "bktest-b")
    holder = unshared()
    try:
        ip("link", "set", "bktest0", "netns", str(holder.pid))
        ip("link", "set", "eth0", "name", "other", "netns", "bktest-c", where="bktest-b")
        task({**BASE[0], "netns": "bktest-b"}, BASE[1])
    finally:
        holder.kill()
        holder.wait()
    assert reachable("10.99.0.1", "bktest-b")


def test_deleted_or_broken_pairs_are_made_anew():
    task(*BASE)
    ip("link", "delete", "bktest0")
    assert any("create veth pair" in a for a in task(*BASE).plan.actions)
    # The other end is in a namespace that nobody can name any more.
    holder = unshared()
    ip("link", "set", "eth0", "netns", str(holder.pid), where="bktest-a")
    fd = os.open(f"/proc/{holder.pid}/ns/net", os.O_RDONLY)
    holder.kill()
    holder.wait()
    try:
        actions = task(*BASE).plan.actions
    finally:
        os.close(fd)
    assert any("its pair is broken" in a for a in actions) and reachable("10.99.0.1")


def test_ends_that_swap_their_names():
    both = {"netns": "bktest-a", "interface": "one"}, {"netns": "bktest-a", "interface": "two"}
    task(*both)
    changes = task(both[1], both[0]).plan.changes
    assert link("one")["ifalias"] == "barekernel:veth/bktest/1"
    assert {change.how for change in changes} == {"recreate"}


def test_what_an_interrupted_creation_left_is_cleared():
    netns.create_named_netns("bktest-a")
    born = [
        (A, birth_name("bktest", 0), "02:00:00:00:00:01", None),
        (HOST, birth_name("bktest", 1), "02:00:00:00:00:02", None),
    ]
    netlink_links.create_veth(*born)
    task(*BASE)
    assert netlink_links.link(birth_name("bktest", 1)) is None
    remove()
    netns.create_named_netns("bktest-a")
    netlink_links.create_veth(*born)
    netlink_links.set_link(birth_name("bktest", 0), A, new_name="eth0", alias="barekernel:veth/bktest/0")
    task(*BASE)
    assert reachable("10.99.0.1")


class DyingKernel:
    """Lets k changes happen and ends the run at the next."""

    def __init__(self, changes):
        self.left = changes

    def __getattr__(self, interface):
        return DyingInterface(self, interface)


class DyingInterface:
    def __init__(self, owner, interface):
        self.owner, self.interface = owner, interface

    def __getattr__(self, name):
        from ansible_collections.barekernel.containers.plugins.module_utils._kernel.kernel import Kernel

        if self.owner.left == 0:
            raise RuntimeError("the run was killed")
        self.owner.left -= 1
        return getattr(getattr(Kernel(), self.interface), name)


def test_killed_after_every_change():
    ip("link", "add", "bkbr0", "type", "bridge")
    rich = (
        {**BASE[0], "mtu": 1400, "sysctls": {"net.ipv4.ip_forward": 1}, "impairment": {"rate": "1gbit"}},
        {"bridge": "bkbr0", "hairpin": True, "isolated": True},
    )
    try:
        for killed_after in range(100):
            try:
                task(*rich, kernel=DyingKernel(killed_after))
            except Interrupted:
                task(*rich)
                remove()
                continue
            break
        assert killed_after > 12
    finally:
        ip("link", "delete", "bkbr0")


@pytest.mark.parametrize("kind", ["veth", "bridge"])
def test_a_name_in_use_is_refused_and_nothing_changes(kind):
    ip("link", "add", "bktest0", "type", kind)
    try:
        before = state.take()
        words = f"interface: 'bktest0': the name is taken in the host by a {kind} interface without our mark"
        with pytest.raises(OptionError, match=words):
            task(*BASE)
        assert state.differences(before, state.take()) == []
    finally:
        ip("link", "delete", "bktest0")


def test_duplicate_address_detection_is_waited_for():
    task({"addresses": ["fd99::2/64"], "dad": "wait"}, {"addresses": ["fd99::1/64"], "dad": "wait"})
    flags = [
        a.get("tentative")
        for a in ip("addr", "show", "eth0", where="bktest-a")[0]["addr_info"]
        if a["local"] == "fd99::2"
    ]
    assert flags == [None] and reachable("fd99::1")
    ip("address", "add", "fd99::3/64", "dev", "eth0", "nodad", where="bktest-a")
    with pytest.raises(Interrupted, match="Another host on the link has this address"):
        task(None, {"addresses": ["fd99::1/64", "fd99::3/64"], "dad": "wait"}, exclusive=False)


def test_info_finds_pairs_wherever_they_are():
    task(*BASE)
    holder = unshared()
    try:
        ip("link", "set", "bktest0", "netns", str(holder.pid))
        found = NetnsVethInfo().gather({"name": "bktest"})
        assert [e["interface"] for e in found["veths"][0]["ends"]] == ["eth0", "bktest0"]
        assert [n["name"] for n in found["namespaces"]] == ["bktest-a"]
        assert NetnsVethInfo().gather({"name": "nothing"})["veths"] == []
    finally:
        holder.kill()
        holder.wait()


def test_info_lists_each_namespace_once(monkeypatch):
    """The kernel lists a namespace as a whole: once for each interface would be as many times as many answers."""
    ask, asked = netlink_messages.ask, []

    def counted(*args, subject, what, **kwargs):
        asked.append((subject, what))
        return ask(*args, subject=subject, what=what, **kwargs)

    task(*BASE)
    pair = {"name": "bktest-more", "state": "present"}
    ends = [{"interface": f"bktest{n}", "addresses": [f"10.98.{n}.1/24"]} for n in (1, 2)]
    converge(NetnsVeth(), NetnsVeth().desired({**pair, "ends": ends}))
    try:
        for module in (netlink_ip, netlink_links, netlink_qdisc):
            monkeypatch.setattr(module, "ask", counted)
        assert len(NetnsVethInfo().gather({})["veths"]) == 2
        monkeypatch.undo()
        # Routes are listed by family. The host is found by its processes.
        once = ["RTM_GETADDR", "RTM_GETLINK", "RTM_GETQDISC", "RTM_GETROUTE", "RTM_GETROUTE"]
        places = {subject for subject, _what in asked if "netns" in subject}
        assert len(places) == 2
        assert [sorted(what for subject, what in asked if subject == place) for place in places] == [once, once]
    finally:
        converge(NetnsVeth(), NetnsVeth().desired({**pair, "state": "absent"}))


def test_a_task_leaves_the_caller_in_its_own_namespace():
    before = namespaces.identity("/proc/thread-self/ns/net")
    task(*BASE)
    with pytest.raises(KernelError), namespaces.inside_netns(A):
        netlink_ip.add_address("nothing", "10.0.0.1/24")
    assert namespaces.identity("/proc/thread-self/ns/net") == before


def test_two_runs_at_once_make_one_pair():
    script = (
        "import json,sys; from tests.kernel.module_process import run_module\n"
        "p=json.loads(sys.argv[1]); r=run_module('netns_veth', p); print(json.dumps([r.get('failed'),r['changed']]))\n"
    )
    params = {"name": "bktest", "ends": [near(**BASE[0]), far(**BASE[1])]}
    command = [sys.executable, "-c", script, json.dumps(params)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _run in range(2)]
    answers = sorted(run.communicate()[0].strip() for run in runs)
    assert answers == ["[null, false]", "[null, true]"]
    assert HOST_PYTHON and reachable("10.99.0.1")


@pytest.mark.parametrize(
    ("first", "second", "option"),
    [
        ({"sysctls": {"net.ipv4.nope": 1}}, {}, "ends[0].sysctls.net.ipv4.nope"),
        ({"sysctls": {"net.ipv4.ip_forward": "abc"}}, {}, "ends[0].sysctls.net.ipv4.ip_forward"),
        ({"sysctls": {"net.ipv4.conf.bktest1.nope": 1}}, {}, "ends[0].sysctls.net.ipv4.conf.bktest1.nope"),
        ({"sysctls": {"net.core.somaxconn": -1}}, {}, "ends[0].sysctls.net.core.somaxconn"),
        ({"sysctls": {"net.core.rmem_max": 212992}}, {}, "ends[0].sysctls.net.core.rmem_max"),
        ({"sysctls": {"net.ipv4.ip_forward": 1, "net/ipv4/ip_forward": 0}}, {}, "ends[0].sysctls"),
        ({"sysctls": {"net.ipv4.ip_local_port_range": "9 1"}}, {}, "ends[0].sysctls.net.ipv4.ip_local_port_range"),
        ({"sysctls": {"net.ipv4.ping_group_range": "5 1"}}, {}, "ends[0].sysctls.net.ipv4.ping_group_range"),
        ({"sysctls": {"net.ipv4.tcp_congestion_control": "x"}}, {}, "ends[0].sysctls.net.ipv4.tcp_congestion_control"),
        (
            {"sysctls": {"net.ipv4.conf.bktest1.rp_filter": 9**20}},
            {},
            "ends[0].sysctls.net.ipv4.conf.bktest1.rp_filter",
        ),
        ({}, {"sysctls": {"net.ipv6.conf.bktest0.mtu": 5}}, "ends[1].sysctls.net.ipv6.conf.bktest0.mtu"),
        ({"addresses": ["127.0.0.1/8"]}, {}, "ends[0].addresses"),
        ({"addresses": ["::1/128"]}, {}, "ends[0].addresses"),
        ({"routes": [{"to": "default", "via": "10.99.0.255"}]}, {}, "ends[0].routes[0].via"),
        ({"addresses": ["10.99.0.2"]}, {}, "ends[0].addresses"),
        ({"addresses": ["10.99.0.1/24"]}, {"addresses": ["10.99.0.1/24"]}, "ends[1].addresses"),
        ({}, {"addresses": ["10.99.9.1/24"]}, "ends[1].addresses"),
        ({}, {"interface": "bktest%d"}, "ends[1].interface"),
        ({"bridge": "bkbr%"}, {}, "ends[0].bridge"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(first, second, option):
    ip("link", "add", "bkbr0", "type", "bridge")
    ip("address", "add", "10.99.9.1/24", "dev", "bkbr0")
    try:
        before = state.take()
        for check in (True, False):
            params = {"name": "bktest", "ends": [near(interface="bktest1", **first), far(**second)]}
            result = run_module("netns_veth", params, check)
            assert result["failed"] and result["option"] == option, result
        assert state.differences(before, state.take()) == []
    finally:
        ip("link", "delete", "bkbr0")
