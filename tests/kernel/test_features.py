# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kernel_info says a host can do, it can; what it says it cannot, it cannot."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import features

FEATURES = features.observe_features()
TRIED = [
    ("bridge", "ip link add bktest0 type bridge"),
    ("veth", "ip link add bktest0 type veth peer name bktest1"),
    ("vxlan", "ip link add bktest0 type vxlan id 7 dstport 4789 local 127.0.0.1"),
    ("netem", "tc qdisc add dev lo root netem delay 1ms"),
    ("tbf", "tc qdisc add dev lo root tbf rate 1mbit burst 10kb latency 50ms"),
    ("nftables", "nft add table inet bktest && nft delete table inet bktest"),
    ("overlay", "mount -t tmpfs t /mnt && mkdir /mnt/a /mnt/b && mount -t overlay o /mnt/a -o lowerdir=/mnt/a:/mnt/b"),
    ("user_namespaces", "unshare --user --map-root-user true"),
    *((f"namespace_{name}", f"unshare --{flag} true") for name, flag in (("net", "net"), ("mnt", "mount"))),
    *((f"namespace_{name}", f"unshare --{name} --fork true") for name in ("cgroup", "ipc", "pid", "time", "uts")),
]


@pytest.mark.parametrize(("feature", "command"), TRIED, ids=[feature for feature, _command in TRIED])
def test_what_it_says_is_so(feature: str, command: str) -> None:
    # In namespaces that end with the command, so that nothing is left.
    tried = subprocess.run(["unshare", "--net", "--mount", "sh", "-ec", command], capture_output=True, check=False)
    assert FEATURES[feature].available is (tried.returncode == 0), (FEATURES[feature].reason, tried.stderr)
