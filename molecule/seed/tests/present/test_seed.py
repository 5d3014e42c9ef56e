# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pull for two hosts: what the registry was asked, by whom, and what runs where."""

import json
import re

import pytest

#: One login for everything. Prints a JSON object.
LOOK = """
import glob, json, os, shutil, subprocess
def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
start = run("systemctl", "show", "docker-registry", "-p", "InvocationID", "--value").strip()
index = "/var/lib/barekernel/images/index.json"
print(json.dumps({
    "images": [d["digest"] for d in json.load(open(index))["manifests"]],
    "skopeo": shutil.which("skopeo"),
    "log": run("journalctl", "_SYSTEMD_INVOCATION_ID=" + start, "-o", "cat", "--no-pager"),
    "active": run("systemctl", "is-active", "barekernel-app").strip(),
    "left": glob.glob("/root/.ansible/tmp/*"),
}))
"""

#: {name: what was seen}, of both machines once the second one is looked at.
SEEN = {}


@pytest.fixture(name="machines", scope="module")
def both_machines(host, name):
    SEEN[name] = json.loads(host.check_output("python3 -c %s", LOOK))
    return SEEN


def requests(log):
    """(who, method, path) of what the registry was asked since its start, or after the image had been pushed to it."""
    found = re.findall(r'^(\S+) - - .*"(GET|HEAD|PUT|POST|PATCH) (/v2/\S*) HTTP', log, re.MULTILINE)
    pushed = [n for n, (_who, method, path) in enumerate(found) if method == "PUT" and "/manifests/" in path]
    return found[max(pushed, default=-1) + 1 :]


def test_the_registry_was_pulled_from_once(machines, name):
    asked = requests(machines["alpha"]["log"])
    blobs = [path for _who, method, path in asked if method == "GET" and "/blobs/" in path]
    # The configuration is looked at before it is copied.
    assert len(set(blobs)) == 2 and sorted(map(blobs.count, set(blobs))) == [1, 2]
    assert len({who for who, _method, _path in asked}) == 1


def test_both_have_the_same_image_and_one_of_them_skopeo(machines, name):
    assert machines[name]["images"] == machines["alpha"]["images"] and len(machines[name]["images"]) == 1
    assert bool(machines[name]["skopeo"]) == (name == "alpha")


def test_the_container_runs_where_nothing_was_pulled(machines, name):
    assert machines[name]["active"] == ("active" if name == "beta" else "inactive")


def test_no_blob_is_left_in_temporary_directories(machines, name):
    assert machines[name]["left"] == []
