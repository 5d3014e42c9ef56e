# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container on its networks: what neighbours can do to it, what changes in one step, what goes back."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import namespaces, sysctl
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import NetnsRef

from .segment import advertise_router
from .test_container import apply, info, run

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
    before = shown(inside(TWO), "-6", "route", "show", "table", "all")
    advertise_router(inside(ONE))
    time.sleep(0.5)
    assert shown(inside(TWO), "-6", "route", "show", "table", "all") == before
    # Without it there is a second default route: the test would notice.
    declare(TWO, "bktesta", sysctls={"net.ipv6.conf.eth0.accept_ra": 1})
    assert sysctl.read("net/ipv6/conf/eth0/accept_ra", inside(TWO)) == "1"
    advertise_router(inside(ONE))
    time.sleep(0.5)
    assert len(shown(inside(TWO), "-6", "route", "show", "default")) == 2


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
