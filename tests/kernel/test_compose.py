# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Compose file becomes runs as the file says: its options are applied in their order, and a second time."""

from __future__ import annotations

import base64
import os
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.info import ContainerInfo
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose import Translation, translated

from .test_container import apply, fetch, run

COMPOSE = """
    name: bktest
    services:
      web:
        image: bktest
        entrypoint: sh -c
        command: ["echo page of $${WORD:-none} > /srv/index.html; exec httpd -f -p 80 -h /srv"]
        init: ${INIT:-false}
        environment: [WORD=compose]
        ports: ["8080:80"]
        networks: {front: , back: {ipv4_address: 10.88.9.9, aliases: [www]}}
        volumes: ["pages:/srv", "/scratch"]
        shm_size: 1m
        domainname: lab.example
        group_add: [7, "8"]
        oom_score_adj: 400
        tmpfs: /tmp:size=64k,mode=1777
        secrets: [token, {source: token, target: owned, uid: "7", mode: 0440}]
        configs: [{source: motd, target: /etc/motd}]
        healthcheck: {test: "wget -qO /dev/null http://127.0.0.1/", interval: 1s}
        stop_grace_period: 0s
        ulimits: {nofile: {soft: 100, hard: 200}}
        sysctls: {net.core.somaxconn: 77}
        extra_hosts: ["gate:host-gateway"]
        user: "0"
        working_dir: /srv
      client:
        image: bktest
        command: sleep 1000000
        network_mode: service:web
        stop_grace_period: 0s
        depends_on: {web: {condition: service_healthy}}
      other:
        image: bktest
        command: sleep 1000000
        read_only: true
        networks: [back]
        stop_grace_period: 0s
        hostname: other.example
        cap_drop: [ALL]
    networks:
      front:
      back: {ipam: {config: [{subnet: 10.88.9.0/24}]}}
    volumes: {pages: }
    secrets: {token: {file: token}}
    configs: {motd: {content: "hello\\n"}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Translation]:
    """The file applied, as a stack would do it; an image of that name is there already."""
    build = {
        "directories": [{"path": path} for path in ("/etc", "/tmp", "/root", "/srv")],
        "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}],
        "run": ["/bin/busybox --install -s /bin"],
    }
    apply("oci_image", name="bktest", build=build)
    (tmp_path / "token").write_text("of the controller")
    (tmp_path / "compose.yaml").write_text(textwrap.dedent(COMPOSE))
    found = translated(str(tmp_path), environment={})
    for file in found.files:
        path = Path(file["path"])
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(file["content"]))
        os.chown(path, file["uid"], file["gid"])
        path.chmod(int(file["mode"], 8))
    for image in found.images:
        apply("oci_image", **{"pull": "never", **image})
    for network in found.networks:
        apply("bridge_network", **network)
    for container in found.containers:
        apply("ns_container", **own(container))
    yield found
    for container in reversed(found.containers):
        apply("ns_container", name=container["name"], state="absent", purge_volumes=True)
    for network in found.networks:
        apply("bridge_network", name=network["name"], state="absent")
    for image in reversed(found.images):
        apply("oci_image", name=image["name"], state="absent")
    shutil.rmtree(Path(found.files[0]["path"]).parent.parent)


def own(container: dict[str, Any]) -> dict[str, Any]:
    return {option: value for option, value in container.items() if option != "depends_on"}


def health(name: str) -> dict[str, Any]:
    """The check of the service, run once."""
    return dict(ContainerInfo().gather({"name": name, "check_health": True})["containers"][0]["health"])


def said(container: str, *argv: str) -> str:
    return str(run(f"bktest-{container}-1", *argv)["stdout"])


def test_it_runs_as_the_file_says(site: Translation) -> None:
    assert site.warnings == ()
    assert fetch("http://127.0.0.1:8080/") == "page of compose\n"
    assert health("bktest-web-1")["healthy"], health("bktest-web-1")
    # By each of its names, over the network that both are on, and from within its own network namespace.
    for name in ("web", "www", "bktest-web-1"):
        assert said("other", "wget", "-qO-", f"http://{name}/") == "page of compose"
    assert said("client", "wget", "-qO-", "http://127.0.0.1/") == "page of compose"
    assert "10.88.9.9/24" in said("web", "ip", "-4", "address")
    front = site.networks[0]["addresses"][0].partition("/")[0]
    assert f"default via {front}" in said("web", "ip", "route") and said("web", "cat", "/etc/hosts").count(front) == 1
    # Files and memory.
    assert (
        said("web", "cat", "/run/secrets/token") == "of the controller" and said("web", "cat", "/etc/motd") == "hello"
    )
    assert said("web", "stat", "-c", "%u %g %a", "/run/secrets/owned") == "7 0 440"
    mounts = {line.split()[1]: line.split()[3] for line in said("web", "cat", "/proc/mounts").splitlines()}
    assert "size=1024k" in mounts["/dev/shm"] and "size=64k" in mounts["/tmp"] and "ro" in mounts["/etc/motd"]
    assert said("web", "sh", "-c", "echo x > /dev/shm/x && echo x > /scratch/x && cat /scratch/x") == "x"
    assert Path("/var/lib/barekernel/volumes/bktest_pages/index.html").read_text() == "page of compose\n"
    # The process.
    assert "Max open files            100                  200" in said("web", "cat", "/proc/1/limits")
    assert said("web", "cat", "/proc/sys/net/core/somaxconn") == "77"
    assert said("web", "cat", "/proc/1/oom_score_adj", "/proc/sys/kernel/domainname") == "400\nlab.example"
    assert {"7", "8"} <= set(said("web", "id", "-G").split())
    assert said("web", "hostname", "-f").endswith(".lab.example")
    assert said("other", "hostname") == "other.example"
    assert run("bktest-other-1", "sh", "-c", "touch /x || echo refused")["stdout"] == "refused"
    assert "CapBnd:\t0000000000000000" in said("other", "cat", "/proc/1/status")
