# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks as their users see them: what is told of hosts, of mistakes and of limits, and how much of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collection import CHECKOUT, NAMESPACE
from tests.kernel import images, state
from tests.kernel.module_process import run_module

NETWORK = {"name": "bktest0", "addresses": ["10.99.0.1/24"]}


@pytest.fixture(autouse=True)
def cleared() -> Iterator[None]:
    yield
    run_module("stack", {"state": "absent"})
    for name in ("bktest-a", "bktest-b"):
        run_module("ns_container", {"name": name, "state": "absent"})
    run_module("bridge_network", {"name": NETWORK["name"], "state": "absent"})
    images.remove_all()


def played(folder: Path, playbook: str, hosts: dict[str, dict[str, Any]], *options: str) -> str:
    """The output of one of our playbooks on hosts that are this one, each with variables of its own."""
    common = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"vars": common, "hosts": hosts}}))
    (folder / "ansible.cfg").write_text("[defaults]\ncallback_result_format = yaml\n")
    command = ["ansible-playbook", "-i", "hosts.yml", *options, str(CHECKOUT / "playbooks" / playbook)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    return done.stdout + done.stderr


def recap(output: str, host: str) -> dict[str, int]:
    """The counts at the end."""
    found = re.search(rf"^{host} +: (.*)$", output, re.MULTILINE)
    assert found, output
    return {name: int(count) for name, count in (word.split("=") for word in found[1].split())}


def test_a_host_for_which_nothing_is_declared_stays_as_it_is_and_is_named(tmp_path: Path) -> None:
    with contextlib.suppress(OSError):
        os.rmdir("/run/barekernel")  # an earlier test's, and empty: whoever comes next takes it away
    before = state.take()
    output = played(tmp_path, "site.yml", {"idle": {}, "absent": {"network_list": [{**NETWORK, "state": "absent"}]}})
    assert state.differences(before, state.take()) == []
    told = output[output.index("TASK [What runs on this host]") :]
    assert re.search(r"\[idle\] => *\n *msg:\n *- 'nothing is declared for this host", told)
    assert re.search(r"\[absent\] => *\n *msg:\n *- no containers are declared for this host", told)
    # Nothing was even looked at, let alone installed.
    assert "[idle]" not in output[output.index("TASK [barekernel.containers.host : Read what") :].partition("TASK [")[0]
    assert "8080" not in output
    assert recap(output, "absent")["failed"] == recap(output, "idle")["failed"] == 0


#: What somebody writes in place of an entry; what is told of it, with the entry's name.
MISTAKES: list[tuple[Any, str]] = [
    ({"ports": ["8080:80"]}, "ports: there is no such option; write networks: [{name: NETWORK, ports:"),
    ({"volumes": ["/a:/b"]}, "volumes: there is no such option; write mounts:"),
    ({"networks": ["bktest0"]}, "networks[0]: 'bktest0': must be a dictionary; write {name: NETWORK}"),
    ({"state": "running"}, "state: 'running': must be present, started, stopped, restarted or absent; write started"),
]


def test_a_mistake_is_told_by_entry_and_option_in_few_words(tmp_path: Path) -> None:
    entries = [{"name": f"bktest-{number}", "image": "busybox", **each} for number, (each, _) in enumerate(MISTAKES)]
    output = played(tmp_path, "site.yml", {"one": {"container_list": entries}})
    said = " ".join(output.replace("''", "'").split())
    for number, (_each, told) in enumerate(MISTAKES):
        assert f"container_list[{number}] (bktest-{number}): {told}" in said
    assert len(output) < 5000
    assert recap(output, "one")["failed"] == 1 and recap(output, "one")["changed"] == 0
    # By the role of containers alone.
    play = [{"hosts": "all", "gather_facts": False, "roles": [f"{NAMESPACE}.container"]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    output = played(tmp_path, str(tmp_path / "play.yml"), {"one": {"container_list": entries}})
    said = " ".join(output.replace("''", "'").split())
    for number, (_each, told) in enumerate(MISTAKES):
        assert f"container_list[{number}] (bktest-{number}): {told}" in said
    assert recap(output, "one")["failed"] == 1 and recap(output, "one")["changed"] == 0
    # What is no list at all.
    output = played(tmp_path, "site.yml", {"one": {"container_list": {"web": {"image": "busybox"}}}})
    assert "container_list: must be a list of dictionaries of options of ns_container" in output and len(output) < 6000


def test_a_mistake_in_any_list_stops_the_play_before_anything_is_made(tmp_path: Path) -> None:
    """All are told at once, and no secret with them."""
    copied = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]
    good = {"name": "bktest", "build": {"copy": copied}}
    bad = {"name": "x", "registry": {"username": "me", "password": "bktest-secret", "retries": 99}}
    site: dict[str, Any] = {
        "image_list": [good, bad],
        "network_list": [NETWORK, {"name": "bktest1", "addresses": ["10.99.0.300/24"]}],
        "container_list": [
            {"name": "bktest-a", "image": "bktest", "cap_add": ["SYSADMIN"], "env": {"KEY": "bktest-secret"}},
            "bktest-b",
            {"name": "bktest-c", "image": "bktest", "depends_on": {"bktest-a": "healthy"}},
        ],
        "link_list": [{"name": "l", "ends": [{"netns": "a", "interface": "x" * 16}, {"interface": "y"}]}],
        "overlay_list": [{"path": "/srv/view", "lower": "/a"}],
        "cgroup_list": {"path": "lab"},
    }
    before = state.take()
    output = played(tmp_path, "site.yml", {"one": site})
    assert state.differences(before, state.take()) == []
    said = " ".join(output.replace("''", "'").split())
    for told in (
        "image_list[1] (x): registry.retries: 99: write a number",
        "link_list[0] (l): ends[0].interface: 'xxxxxxxxxxxxxxxx': an interface name has at most 15 bytes",
        "overlay_list[0] (/srv/view): lower: there is no such option; write lowerdirs: [DIRECTORY, ...]",
        "cgroup_list: must be a list of dictionaries of options of cgroup_v2",
        "network_list[1] (bktest1): addresses",
        "container_list[0] (bktest-a): cap_add: 'SYSADMIN': is not a capability (capabilities(7) lists them); did you",
        "container_list[1]: must be a dictionary of options of ns_container",
    ):
        assert told in said
    assert "bktest-secret" not in output and "container_list[2]" not in output
    assert recap(output, "one")["failed"] == 1 and recap(output, "one")["changed"] == 0
    # By the role of one list alone, too, with the position and nothing else.
    play = [{"hosts": "all", "gather_facts": False, "roles": [f"{NAMESPACE}.network"]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    output = played(tmp_path, str(tmp_path / "play.yml"), {"one": {"network_list": [NETWORK, "lab1"]}})
    assert "network_list[1]: must be a dictionary of options of bridge_network" in output and len(output) < 2000


def test_limits_that_the_host_cannot_keep_are_a_warning_a_change_and_part_of_the_diff(tmp_path: Path) -> None:
    if not run_module("kernel_info", {})["features"]["controller_memory"]["reason"]:
        pytest.skip("this host can limit memory")
    copied = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]
    build = {"directories": [{"path": "/etc"}], "copy": copied, "run": ["/bin/busybox --install -s /bin"]}
    image = {"name": "bktest", "build": build}
    entry = {"image": "bktest", "command": ["sleep", "1000"], "stop_timeout": 0}
    pair = [{**entry, "name": name, "restart_policy": False} for name in ("bktest-a", "bktest-b")]
    site: dict[str, Any] = {"image_list": [image], "container_list": pair}
    assert "not enforced" not in played(tmp_path, "site.yml", {"one": site})
    site["container_list"] = [{**each, "limits": {"memory": "64M"}} for each in pair]
    for again in (False, True):
        output = played(tmp_path, "site.yml", {"one": site}, "--diff")
        # One line for both containers, in every run.
        assert output.count("limits are not enforced on this host. memory: held by") == 1
        assert ('+    "memory.max": "67108864 (not enforced)"' in output) == (not again)
        assert recap(output, "one")["changed"] == (0 if again else 1)
    output = played(tmp_path, "site.yml", {"one": {**site, "container_limits": "require"}})
    assert "one cannot run containers. " in output and recap(output, "one")["failed"] == 1
    module = f"{NAMESPACE}.ns_container"
    assert module not in output and recap(output, "one")["changed"] == 0
