# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records anew what tests/unit/test_recorded.py reads: ``tests/isolated python -m tests.unit.recorded.record``.

As root, on an isolated host with the collection's own overlay, bridge and veth pair.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

from tests import conftest
from tests.kernel.module_process import run_module

HERE = Path(__file__).parent
PLACE = b"/run/recorded"
#: What a path may hold: space, line end, backslash, comma, colon, and a byte that is no UTF-8.
ODD = (b"a b\n", b"c,d:e\\", b"caf\xe9")


def main() -> None:
    conftest.link_collection()
    done("netns_veth", name="recorded", ends=[
        {"netns": "recorded", "interface": "eth0"},
        {"interface": "recorded0", "addresses": ["10.99.0.1/24", "fd99::1/64"], "mtu": 1400,
         "routes": [{"to": "10.98.0.0/16", "via": "10.99.0.2", "metric": 7}, {"to": "fd98::/64", "via": "fd99::2"}]},
    ])  # fmt: skip
    ports = [{"addresses": ["10.77.0.9", "fd77::9"], "ports": ["8080:80", "5300-5301:53-54/udp"]}]
    done("bridge_network", name="recorded", bridge="bk0", addresses=["10.77.0.1/24", "fd77::1/64"], published=ports)
    netlink()
    nft = ["nft", "-j", "list", "table", "inet", "barekernel"]
    listed = json.loads(subprocess.run(nft, check=True, capture_output=True).stdout)
    (HERE / "nft.json").write_text(json.dumps(listed, indent=1) + "\n")
    mountinfo()
    cgroup()


def netlink() -> None:
    """All that the kernel says of interfaces, addresses and routes."""
    from ansible_collections.barekernel.containers.plugins.module_utils._kernel import (  # linked by now
        netlink_ip,
        netlink_links,
        netlink_messages,
    )

    said: dict[str, list[str]] = {}

    def listen(*arguments: Any, what: str, **more: Any) -> list[bytes]:
        answers = netlink_messages.ask(*arguments, what=what, **more)
        said.setdefault(what, []).extend(answer.hex() for answer in answers)
        return answers

    for module in (netlink_links, netlink_ip):
        vars(module)["ask"] = listen
    for look in (netlink_links.links, netlink_ip.addresses, netlink_ip.routes):
        look()
    (HERE / "netlink.json").write_text(json.dumps(said, indent=1) + "\n")


def done(module: str, **params: Any) -> None:
    result = run_module(module, params)
    if result.get("failed"):
        raise SystemExit(result["msg"])


def mountinfo() -> None:
    paths = [b"%s/%s" % (PLACE, name) for name in (*ODD, b"upper", b"work", b"merged", b"plain")]
    for path in paths:
        os.makedirs(path)
    lower, merged = [os.fsdecode(path) for path in paths[:3]], os.fsdecode(paths[5])
    layers = {"lowerdirs": [url(path) for path in lower], "upperdir": os.fsdecode(paths[3])}
    done("overlay_mount", path=merged, workdir=os.fsdecode(paths[4]), **layers)
    plain = b"lowerdir=%s,upperdir=%s,workdir=%s" % (paths[2], paths[3] + b"2", paths[4] + b"2")
    os.makedirs(paths[3] + b"2")
    os.makedirs(paths[4] + b"2")
    subprocess.run(["mount", "-t", "overlay", "foreign", "-o", plain, paths[6]], check=True)
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines(keepends=True)
    system = (b"/", b"/proc", b"/run", b"/sys", b"/sys/fs/cgroup")
    kept = [line for line in lines if line.split(b" ")[4] in system or PLACE in line]
    (HERE / "mountinfo").write_bytes(b"".join(kept))


def url(path: str) -> str:
    """As options take a path that may be no text."""
    return "file://" + urllib.parse.quote(os.fsencode(path))


def cgroup() -> None:
    mounts = [line.split() for line in Path("/proc/mounts").read_bytes().splitlines()]
    path = Path(os.fsdecode([fields[1] for fields in mounts if fields[2] == b"cgroup2"][-1]), "recorded")
    done("cgroup_v2", path="recorded", limits={"hugetlb": {"2M": "4M"}, "raw": {"cgroup.max.depth": 3}})
    shutil.rmtree(HERE / "cgroup", ignore_errors=True)
    (HERE / "cgroup").mkdir()
    for file in sorted(path.iterdir()):
        if file.is_file() and file.stat().st_mode & 0o444:
            (HERE / "cgroup" / file.name).write_text(file.read_text())


if __name__ == "__main__":
    main()
