# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pairs of the module netns_veth on the real kernel: making them, and reading back what ip(8) and tc(8) say."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import netlink, netns
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.namespaces import NetnsRef
from ansible_collections.barekernel.containers.plugins.module_utils._links.resource import NetnsVeth

A, B = NetnsRef.named("bktest-a"), NetnsRef.named("bktest-b")


def ip(*arguments, where=""):
    """``ip -j``, as a list; what is not JSON (a change) gives an empty one."""
    command = ["ip", *(["-n", where] if where else []), "-j", "-d", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout) if done.stdout.strip() else []


def near(**options):
    return {"netns": "bktest-a", "interface": "eth0", **options}


def far(**options):
    return {"interface": "bktest0", **options}


def task(first=None, second=None, kernel=None, **options):
    """Apply, and show that a second run finds nothing to do."""
    params = {"name": "bktest", "state": "present", "ends": [near(**(first or {})), far(**(second or {}))], **options}
    resource = NetnsVeth()
    outcome = converge(resource, resource.desired(params), kernel)
    assert predict(resource, resource.desired(params)).plan.operations == ()
    return outcome


def remove(**options):
    resource = NetnsVeth()
    return converge(resource, resource.desired({"name": "bktest", "state": "absent", **options}))


@pytest.fixture(autouse=True)
def tidy():
    yield
    remove()
    netlink.forget_all()
    for name in netns.names():
        subprocess.run(["ip", "netns", "delete", name], check=True)
        netns.delete_named_netns(name)
    # What `ip netns add` leaves of a directory that it made.
    subprocess.run(["umount", "/run/netns"], check=False, capture_output=True)
    if os.path.isdir("/run/netns"):
        os.rmdir("/run/netns")


def link(name="eth0", where="bktest-a"):
    return ip("link", "show", name, where=where)[0]


def addresses(name="eth0", where="bktest-a"):
    found = ip("addr", "show", name, where=where)[0]["addr_info"]
    return sorted(f"{a['local']}/{a['prefixlen']}" for a in found if not a["local"].startswith("fe80"))


def routes(name="eth0", where="bktest-a", version="-4"):
    found = ip(version, "route", "show", "dev", name, where=where)
    return sorted((r["dst"], r.get("gateway"), r.get("metric")) for r in found if r.get("protocol") != "kernel")


def qdisc(name="eth0", where="bktest-a"):
    done = subprocess.run(
        ["tc", "-n", where, "-j", "qdisc", "show", "dev", name], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)[0]


def reachable(address, where="bktest-a"):
    """A datagram to a closed port comes back as "connection refused": it went there, and the answer came."""
    script = (
        "import socket,sys\n"
        f"s=socket.socket(socket.AF_INET6 if ':' in {address!r} else socket.AF_INET,socket.SOCK_DGRAM)\n"
        f"s.connect(({address!r},9))\n"
        "for wait in (1,2,4,8,16,32):\n"  # the kernel limits the rate of such answers
        "  s.settimeout(wait)\n"
        "  try:\n    s.send(b'x');s.recv(1)\n"
        "  except ConnectionRefusedError:\n    sys.exit(0)\n"
        "  except TimeoutError:\n    pass\n"
        "sys.exit(1)\n"
    )
    command = ["ip", "netns", "exec", where, sys.executable, "-S", "-c", script]
    return subprocess.run(command, check=False).returncode == 0


BASE = (
    {"addresses": ["10.99.0.2/24", "fd99::2/64"], "routes": [{"to": "default", "via": "10.99.0.1"}]},
    {"addresses": ["10.99.0.1/24", "fd99::1/64"]},
)
