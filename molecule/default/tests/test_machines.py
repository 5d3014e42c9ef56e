# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machines are hosts of their own, joined by their second interface and by nothing else."""

import json
import socket
import time

import pytest

#: One login for everything: each costs seconds under emulation. Prints a JSON object.
GATHER = """
import json, socket, subprocess
def read(path):
    with open(path) as stream: return stream.read().strip()
def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return {"rc": done.returncode, "output": done.stdout}
def reach(address, port):
    try: socket.create_connection((address, port), 3).close()
    except OSError: return False
    return True
import time
print(json.dumps({
    "hostname": socket.gethostname(),
    "machine_id": read("/etc/machine-id"),
    "mac": read("/sys/class/net/eth1/address"),
    "now": time.time(),
    "controllers": read("/sys/fs/cgroup/%(cgroup)scgroup.controllers").split(),
    "pings": {target: run("ping", "-qc1", "-W20", target)["rc"] for target in %(targets)r},
    "out": reach("10.0.2.2", %(port)d),
    "policy": run("apt-cache", "policy", "python3-pyroute2", "nftables", "skopeo")["output"],
    "failed": run("systemctl", "list-units", "--failed", "--plain", "--no-legend")["output"],
}))
"""

#: {MAC: machine-id} of the machines seen so far.
SEEN = {}


@pytest.fixture(name="machine", scope="module")
def what_the_machine_says_of_itself(host):
    """The facts above, the machine's variables, and whether anything reached a server of ours on this loopback."""
    variables = host.backend.get_variables()
    hybrid = variables["vm"].get("hybrid", False)
    inventory = host.backend.ansible_runner.inventory
    siblings = [name for name in inventory["running"]["hosts"] if name != variables["inventory_hostname"]]
    targets = [*siblings, *(inventory["_meta"]["hostvars"][name]["vm_address6"] for name in siblings)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)
        values = {"targets": targets, "port": server.getsockname()[1], "cgroup": "unified/" if hybrid else ""}
        before = time.time()
        facts = json.loads(host.check_output("python3 -c %s", GATHER % values))
        after = time.time()
        try:
            reached = server.accept() is not None
        except TimeoutError:
            reached = False
    return {**facts, "before": before, "after": after, "reached": reached, "hybrid": hybrid, "variables": variables}


def test_it_reaches_every_other_machine_by_name_and_by_ipv6(machine):
    assert not {target: status for target, status in machine["pings"].items() if status}


def test_it_has_its_own_name_address_and_machine_id(machine):
    assert machine["hostname"] == machine["variables"]["inventory_hostname"]
    assert machine["mac"] == machine["variables"]["vm_mac"]
    SEEN[machine["mac"]] = machine["machine_id"]
    assert len(machine["machine_id"]) == 32
    assert len(set(SEEN.values())) == len(SEEN)


def test_the_clock_is_right_also_after_a_resume(machine):
    assert machine["before"] - 5 <= machine["now"] <= machine["after"] + 5


def test_the_cgroup_hierarchy_is_what_the_inventory_says(machine):
    if machine["hybrid"]:
        assert not {"cpu", "io", "memory", "pids"} & set(machine["controllers"])
    else:
        assert set(machine["controllers"]) >= {"cpuset", "cpu", "io", "memory", "pids"}


def test_there_is_no_way_out(machine):
    """Not even to the machine that runs it: a server on its loopback stays out of reach."""
    assert not machine["out"]
    assert not machine["reached"]


def test_packages_come_from_the_image(machine):
    assert machine["policy"].count("copy:/srv/debian") == 3, machine["policy"]
    assert "http" not in machine["policy"]


def test_no_unit_failed(machine):
    assert machine["failed"] == ""
