# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a reboot (alpha) and a power cut (beta), before any playbook has run again."""

import json

import pytest

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


def test_both_containers_run(seen):
    assert {name: container["active"] for name, container in seen["containers"].items()} == {
        "web": "active",
        "client": "active",
    }


def test_they_have_their_limits_and_addresses(seen):
    web, client = seen["containers"]["web"], seen["containers"]["client"]
    assert web["limits"]["memory.max"] == str(64 << 20)
    assert web["limits"]["io.max"] == "254:0 rbps=max wbps=10485760 riops=max wiops=max"
    assert client["limits"]["pids.max"] == "50"
    assert set(web["addresses"]) == {"10.88.0.10/24", "fd88::10/64"}
    assert set(client["addresses"]) == {"10.88.0.11/24", "fd88::11/64"}


def test_published_ports_answer_from_every_host(seen, siblings, name):
    wanted = {"127.0.0.1": f"Hello from {name}."}
    for one, values in siblings.items():
        wanted[one] = wanted[values["vm_address6"]] = f"Hello from {one}."
    assert seen["pages"] == wanted


def test_the_client_finds_web_by_name(seen, name):
    assert f"Hello from {name}." in seen["containers"]["client"]["journal"]


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
