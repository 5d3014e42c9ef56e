# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After the modules' state=absent the machine is as it was."""

import json

import pytest

LEFT = """
import json, os, subprocess
def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True).stdout
def listed(path):
    return sorted(os.listdir(path)) if os.path.isdir(path) else []
print(json.dumps({
    "cgroup": os.path.exists("/sys/fs/cgroup/primitives"),
    "links": [link["ifname"] for link in json.loads(run("ip", "-j", "link"))],
    "netns": listed("/run/netns"),
    "tables": run("nft", "list", "tables").split(),
    "mounts": [line for line in open("/proc/self/mountinfo") if "/srv/" in line],
    "overlay": listed("/srv/overlay"),
    "networks": listed("/var/lib/barekernel/networks"),
    "forwarding": open("/proc/sys/net/ipv4/ip_forward").read().strip(),
}))
"""


@pytest.fixture(name="left", scope="module")
def what_is_left(host):
    return json.loads(host.check_output("python3 -c %s", LEFT))


def test_no_cgroup(left):
    assert not left["cgroup"]


def test_no_link_and_no_namespace(left):
    assert left["links"] == ["lo", "eth0", "eth1"]
    assert left["netns"] == []


def test_no_table_and_no_sysctl(left):
    assert left["tables"] == []
    assert left["forwarding"] == "0"
    assert left["networks"] == []


def test_no_mount_and_no_layer(left):
    assert left["mounts"] == []
    assert left["overlay"] == ["lower"]
