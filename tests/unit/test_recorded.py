# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observers against what a real kernel said; recorded/record.py records it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (
    cgroup_usage,
    mountinfo,
    netlink_ip,
    netlink_links,
    nft,
    overlay_state,
)
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_state import observe_cgroup
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.netlink_ip import Route

RECORDED = Path(__file__).parent / "recorded"
LOWER = (b"/run/recorded/a b\n", b"/run/recorded/c,d:e\\", b"/run/recorded/caf\xe9")


def mounts() -> dict[bytes, mountinfo.Mount]:
    lines = (RECORDED / "mountinfo").read_bytes().split(b"\n")
    return {m.target: m for m in map(mountinfo.parse_line, filter(None, lines))}


def test_every_mount() -> None:
    found = mounts()
    assert {m.fstype for m in found.values()} >= {"overlay", "proc", "sysfs", "tmpfs"}
    assert all(m.root == b"/" and m.mount_id and m.flags[0] == "rw" for m in found.values())
    # In the kernel's order: the isolated host's /proc lies on the machine's.
    assert found[b"/proc"].flags == ("rw", "nosuid", "nodev", "noexec", "relatime")


@pytest.mark.parametrize(
    ("target", "ours", "lowerdirs", "upperdir"),
    [
        (b"/run/recorded/merged", True, LOWER, b"/run/recorded/upper"),
        (b"/run/recorded/plain", False, LOWER[2:], b"/run/recorded/upper2"),
    ],
)
def test_overlays(target: bytes, ours: bool, lowerdirs: tuple[bytes, ...], upperdir: bytes) -> None:
    live = overlay_state.live_overlay(mounts()[target])
    assert (live.ours, live.layers.lowerdirs, live.layers.upperdir) == (ours, lowerdirs, upperdir)


def test_the_nftables_table() -> None:
    listed = json.loads((RECORDED / "nft.json").read_text())["nftables"]
    table = nft.parse_table("inet", "barekernel", listed)
    assert {c.hook for c in table.chains if c.hook} == {"prerouting", "output", "postrouting", "forward"}
    assert table.rules and all(rule.comment for rule in table.rules)
    elements = {(e.set_name, e.key): e.value for e in table.elements}
    assert all(e.comment == "network/recorded" for e in table.elements)
    assert elements[("published4", ("tcp", "8080"))] == ("10.77.0.9", "80")
    assert elements[("published6", ("udp", "5301"))] == ("fd77::9", "54")
    assert ("bridges", ("bk0",)) in elements and ("nets4", ("10.77.0.0/24",)) in elements


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's answers, whatever is asked of it."""
    said = json.loads((RECORDED / "netlink.json").read_text())

    def ask(_kind: int, _flags: int, body: bytes, *_netns: Any, what: str, subject: str) -> list[bytes]:
        answers = [bytes.fromhex(message) for message in said[what]]
        return [answer for answer in answers if answer[0] == body[0] or not body[0]]  # the family

    for module in (netlink_links, netlink_ip):
        monkeypatch.setattr(module, "ask", ask)


def link(name: str) -> netlink_links.Link:
    return next(each for each in netlink_links.links() if each.name == name)


@pytest.mark.usefixtures("messages")
def test_links() -> None:
    veth, bridge = link("recorded0"), link("bk0")
    assert (veth.name, veth.kind, veth.mtu, veth.up, veth.alias) == (
        "recorded0",
        "veth",
        1400,
        True,
        "barekernel:veth/recorded/1",
    )
    assert veth.peer_index and not veth.master
    assert (bridge.name, bridge.kind, bridge.alias) == ("bk0", "bridge", "barekernel:network/recorded")


@pytest.mark.usefixtures("messages")
def test_addresses_and_routes() -> None:
    index = link("recorded0").index
    found = {a.address: a for a in netlink_ip.addresses(index=index)}
    assert {a for a in found if not found[a].link_local} == {"10.99.0.1/24", "fd99::1/64"}
    assert not any(a.tentative for a in found.values() if not a.link_local)
    routes = [r for r in netlink_ip.routes(index=index) if r.protocol != netlink_ip.RTPROT_KERNEL]
    protocol = routes[0].protocol
    assert Route("10.98.0.0/16", "10.99.0.2", 7, index=index, protocol=protocol) in routes
    assert Route("fd98::/64", "fd99::2", 1024, index=index, protocol=protocol) in routes


def test_a_cgroup() -> None:
    path = str(RECORDED / "cgroup")
    usage = cgroup_usage.observe_usage(path)
    assert usage.limits["hugetlb.2MB.max"] == "4194304" and usage.limits["cgroup.max.depth"] == "3"
    assert usage.usage["hugetlb.2MB.current"] == 0
    assert usage.events["hugetlb.2MB.events"] == {"max": 0}
    state = observe_cgroup(path, ("hugetlb.2MB.max", "memory.max"))
    assert (state.controllers, state.frozen, state.populated, state.pids) == (("hugetlb",), False, False, ())
    assert state.files == {"hugetlb.2MB.max": "4194304"}
