# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failed test leaves goes before the next one, and nothing else does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from . import leaks
from .clearing import clear
from .test_container import apply

SHELL = """
mkdir -p /run/barekernel/x; : >/run/barekernel/x/y
mount -t tmpfs tmpfs /run/barekernel/x; mount -t tmpfs tmpfs /run/barekernel/x
ip netns add bktest-left; ip link add bktest0 type veth peer name bktest1; ip link add bktest2 type bridge
ip link set bktest1 netns bktest-left
nft 'table inet bktest { chain c { type filter hook input priority 0; }; }'
sysctl -qw net.ipv4.conf.all.route_localnet=1
"""


def test_what_was_left_goes_and_what_was_there_stays() -> None:
    subprocess.run(["ip", "link", "add", "bktest9", "type", "bridge"], check=True)
    subprocess.run(["nft", "add table inet bktest9"], shell=False, check=True)
    there = leaks.take()
    try:
        subprocess.run(["sh", "-ec", SHELL], check=True)
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        group = Path([fields[1] for fields in mounts if fields[2] == "cgroup2"][-1], "bktest/below")
        group.mkdir(parents=True)
        with subprocess.Popen(["sleep", "1000000"], stdin=subprocess.DEVNULL) as left:
            (group / "cgroup.procs").write_text(str(left.pid))
            (group / "cgroup.freeze").write_text("1")
            assert len(leaks.take().names - there.names) >= 12
            clear(there)
            assert leaks.leaked_since(there) == []
            left.returncode = -9  # it was reaped there
    finally:
        subprocess.run(["ip", "link", "delete", "bktest9"], check=True)
        subprocess.run(["nft", "delete table inet bktest9"], check=True)


def test_a_container_that_was_left_goes_with_all_that_it_has() -> None:
    build: dict[str, Any] = {"copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}]}
    there = leaks.take()
    apply("oci_image", name="bktest", build=build)
    apply("bridge_network", name="bktest0", addresses=["10.88.7.1/24"])
    command = ["/bin/busybox", "sleep", "1000000"]
    apply("ns_container", name="bktest-left", image="bktest", command=command, networks=[{"name": "bktest0"}])
    clear(there)
    assert leaks.leaked_since(there) == []
