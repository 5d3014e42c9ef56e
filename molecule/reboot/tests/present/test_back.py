# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a reboot (alpha) and a power cut (beta), before any playbook has run again."""

import json

import pytest
from declared import (  # noqa: F401
    test_addresses_are_as_declared,
    test_both_containers_run_and_start_at_boot,
    test_every_published_port_is_reached_from_every_host,
    test_limits_are_in_the_kernel_unless_it_has_none,
    test_namespaces_are_its_own,
    test_the_client_finds_web_by_name,
)

#: What is to be back beside the site. Prints a JSON object.
GATHER = """
import json, subprocess
def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
def addresses(*where):
    link = json.loads(run("ip", "-j", *where) or "[{}]")[0]
    return sorted(f"{a['local']}/{a['prefixlen']}" for a in link.get("addr_info", ()) if a["scope"] == "global")
print(json.dumps({
    "boot_before": open("/root/boot_before").read().strip(),
    "overlay": run("findmnt", "-no", "FSTYPE,SOURCE", "/srv/merged").split(),
    "memory": open("/sys/fs/cgroup/lab/db/memory.max").read().strip(),
    "inside": addresses("-n", "probe", "address", "show", "dev", "eth0"),
    "outside": addresses("address", "show", "dev", "probe0"),
    "ping": subprocess.run(["ping", "-qc1", "-W20", "10.99.0.2"], stdout=subprocess.DEVNULL).returncode,
    "failed": run("systemctl", "list-units", "--failed", "--plain", "--no-legend"),
}))
"""


@pytest.fixture(name="back", scope="module")
def what_is_back(host, seen):
    """After the long look, which waits for the end of the boot."""
    return json.loads(host.check_output("python3 -c %s", GATHER))


def test_it_is_another_boot(seen, back):
    assert seen["boot_id"] != back["boot_before"]


def test_the_overlay_is_mounted(back):
    assert back["overlay"][0] == "overlay"
    assert back["overlay"][1].startswith("barekernel:overlay:")


def test_the_control_group_has_its_limit(back):
    assert back["memory"] == str(100 << 20)


def test_the_link_joins_namespace_and_host(back):
    assert back["inside"] == ["10.99.0.2/30", "fd99::2/64"]
    assert back["outside"] == ["10.99.0.1/30", "fd99::1/64"]
    assert back["ping"] == 0


def test_no_unit_failed(back):
    assert back["failed"] == ""
