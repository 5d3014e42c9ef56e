# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the documentation work as they stand, one after the other, on a host that has what they name."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import collection
from tests.kernel import images
from tests.kernel.module_process import run_module
from tests.waiting import PATIENCE

#: In this order, as they are about each other's objects.
MODULES = (
    *("kernel_info", "oci_image", "oci_image_save", "oci_image_info", "bridge_network", "ns_container"),
    *("ns_container_info", "ns_container_exec", "bridge_network_info", "netns_veth", "netns_veth_info"),
    *("overlay_mount", "overlay_mount_info", "cgroup_v2", "cgroup_v2_info", "oci_image_prune"),
)
#: Examples that need what a host of its own in namespaces has not, by a word in them, and what that is. The unit tests
#: hold these against the argument specs.
ELSEWHERE = {
    "registry.example": "a registry of that name",
    "alpine:3.20": "Docker Hub",
    "legacy": "an archive of docker save",
    "appliance.tar.zst": "a root file system that another tool made",
    "debootstrap": "a mirror of Debian's packages",
    "postmaster_pid": "the controllers cpu, memory and io of cgroup v2",
    '"cpu": "max"': "the controller cpu of cgroup v2",
}
#: The same of single options, which are left out.
OPTIONS_ELSEWHERE = {"systemd": "systemd", "impairment": "the kernel's netem and tbf"}
SERVICE = "{{ service.stdout }}"
DIRECTORIES = ("base", "layers/theme", "layers/content", "layers/base", "images/debian", "a", "b", "app", "guests/one")


def leave_out(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: leave_out(each) for name, each in value.items() if name not in OPTIONS_ELSEWHERE}
    return [leave_out(each) for each in value] if isinstance(value, list) else value


def tasks() -> list[tuple[str, str, dict[str, Any]]]:
    """Module, name and parameters of each that can be run here."""
    now: list[tuple[str, str, dict[str, Any]]] = []
    then: list[tuple[str, str, dict[str, Any]]] = []
    for module in MODULES:
        for task in collection.examples(module):
            params = task.get(f"{collection.NAMESPACE}.{module}", ...)
            if params is ... or any(word in json.dumps(params) for word in ELSEWHERE):
                continue
            # A container that others run a command in goes last.
            (then if module == "ns_container" and params.get("state") == "absent" else now).append(
                (module, str(task["name"]), params or {})
            )
    return now + then


@pytest.fixture
def host(tmp_path: Path) -> Iterator[int]:
    """A host that has what the examples name. Yields the PID of a process with a network namespace of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"], check=True)
    for name in DIRECTORIES:
        Path("/srv", name).mkdir(parents=True)
    Path("/srv/app/run").write_text("#!/bin/sh\n")
    Path(b"/srv/caf\xe9".decode("utf-8", "surrogateescape")).mkdir()
    service = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    copied = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]
    build = {"directories": [{"path": "/etc"}], "copy": copied, "run": ["/bin/busybox --install -s /bin"]}
    for name in ("debian", "app"):
        done("oci_image", {"name": name, "build": build})
    yield service.pid
    service.kill()
    service.wait()
    for name in ("web", "client"):
        run_module("ns_container", {"name": name, "state": "absent", "purge_volumes": True})
    for name in ("db", "r1-r2", "sandbox", "probe"):
        run_module("netns_veth", {"name": name, "state": "absent", "namespaces": [{"name": "sandbox"}]})
    for name in ("lab0", "routed"):
        run_module("bridge_network", {"name": name, "state": "absent"})
    for path in ("/srv/build", "/srv/site", "/srv/guest", "file:///srv/caf%E9"):
        run_module("overlay_mount", {"path": path, "state": "absent"})
    images.remove_all()
    subprocess.run(["umount", "/srv"], check=True)


def done(module: str, params: dict[str, Any]) -> dict[str, Any]:
    result = run_module(module, params)
    assert not result.get("failed"), f"{module} {params}: {result['msg']}"
    return result


def test_the_examples_work_as_they_stand(host: int) -> None:
    ran = set()
    for module, name, given in tasks():
        params = json.loads(json.dumps(leave_out(given)).replace(SERVICE, str(host)).replace("{{ token_of_web }}", "t"))
        assert "{{" not in json.dumps(params), f"{module}: {name}: names a variable that no example sets"
        result = done(module, params)
        if params.get("check_health"):
            deadline = time.monotonic() + PATIENCE
            while not result["containers"][0]["health"]["healthy"]:
                assert time.monotonic() < deadline, result
                time.sleep(0.2)
                result = done(module, params)
        ran.add((module, name))
    assert {module for module, _name in ran} == set(MODULES)


def test_what_is_left_out_is_in_the_examples() -> None:
    """So that no excuse outlives its example."""
    text = json.dumps([task for module in collection.module_names() for task in collection.examples(module)])
    assert [word for word in (*ELSEWHERE, *OPTIONS_ELSEWHERE) if word not in text] == []
