# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images that are handed over: one pull for many hosts, and archives of the controller."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.store import Store

from tests.kernel import registry
from tests.kernel.hosts import Host, play, running
from tests.kernel.layouts import Layout, tar

ROLE = "barekernel.containers.image"
MODULE = "barekernel.containers.oci_image"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[registry.Registry]:
    with registry.serve(tmp_path / "registry") as server:
        yield server


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, Host]]:
    """Only alpha reaches the registry."""
    with running(tmp_path / "hosts", "alpha", "beta", "gamma", online="alpha") as hosts:
        yield hosts


def example(path: Path, *extra: tuple[str, Any]) -> Layout:
    layout = Layout(path, {"Cmd": ["/bin/app"]})
    layout.add(tar(("etc", None), ("etc/base", b"base"), ("bin", None)))
    layout.add(tar(("etc", None), ("etc/more", b"more")), "zstd")
    layout.add(tar(("bin", None), ("bin/app", b"app", {"mode": 0o755}), *extra))
    layout.write()
    return layout


def entry(server: registry.Registry, name: str, **more: Any) -> dict[str, Any]:
    reference = {"reference": f"{server.address}/{name}:1", "tls_verify": False, "retries": 0}
    return {"name": "app", "registry": reference, **more}


def seeded(seed: str, *images: dict[str, Any], **keywords: Any) -> list[dict[str, Any]]:
    return [{"roles": [{"role": ROLE, "image_seed": seed, "image_list": list(images)}], **keywords}]


def named(host: Host) -> dict[str, str]:
    return Store(str(host.path("/var/lib/barekernel/images"))).names()


def blob(host: Host, digest: str) -> Path:
    return host.path(f"/var/lib/barekernel/images/blobs/{digest.replace(':', '/')}")


def pulled(requests: list[str]) -> list[str]:
    return sorted(request for request in requests if "/blobs/" in request)


def each_once(layout: Layout, name: str) -> list[str]:
    """What one pull asks for beside manifests, where the configuration is looked at before it is copied."""
    config = [f"GET /v2/{name}/blobs/{layout.config_digest}"]
    return sorted([*2 * config, *(f"GET /v2/{name}/blobs/{layer['digest']}" for layer in layout.layers)])


def files(layout: Layout, *hosts: str) -> list[str]:
    """What it takes to hand over all of it."""
    digests = [layout.digest, layout.config_digest, *(layer["digest"] for layer in layout.layers)]
    return sorted(f"{host} {digest.replace(':', '-')}" for host in hosts for digest in digests)


def test_one_pull_for_all_hosts(server: registry.Registry, hosts: dict[str, Host], tmp_path: Path) -> None:
    layout = example(tmp_path / "layout")
    server.push(layout.path, "host/app:1")
    begin = len(server.requests())
    image = entry(server, "host/app", config={"labels": {"a": "b"}})
    predicted = play(tmp_path, hosts, seeded("alpha", image), "--check")
    assert predicted.status == 0 and predicted.changed() == ["alpha", "beta", "gamma"]
    assert pulled(server.requests()[begin:]) == [] and not any(named(host) for host in hosts.values())
    done = play(tmp_path, hosts, seeded("alpha", image), "--forks=2", ANSIBLE_PIPELINING="0")
    assert done.status == 0 and done.actions() == predicted.actions() and done.changed() == predicted.changed()
    assert pulled(server.requests()[begin:]) == each_once(layout, "host/app")
    assert done.brought == files(layout, "beta", "gamma")
    results = {record["host"]: record["result"]["objects"] for record in done.records if record["result"]["objects"]}
    records = {host: next(iter(objects.values()))["image"] for host, objects in results.items()}
    assert len({image["digest"] for image in records.values()}) == 1
    assert [image["source"] for image in records.values()] == 3 * [records["alpha"]["source"]]
    from_where = f"docker://{image['registry']['reference']}"
    recorded = {"kind": "registry", "parts": [from_where], "key": layout.digest, "base": layout.digest}
    assert records["beta"]["source"] == recorded
    assert hosts["beta"].path(records["beta"]["layers"][2]["path"] + "/bin/app").read_bytes() == b"app"
    asked = len(server.requests())
    again = play(tmp_path, hosts, seeded("alpha", image))
    assert (again.status, again.changed(), again.brought) == (0, [], [])
    # Nor does the same image without a seed, on hosts that could not even ask.
    alone = play(tmp_path, hosts, seeded("", image))
    assert (alone.status, alone.changed()) == (0, [])
    assert len(server.requests()) == asked


def test_only_what_is_lacking_is_handed_over(server: registry.Registry, hosts: dict[str, Host], tmp_path: Path) -> None:
    server.push(example(tmp_path / "one").path, "moved/app:1")
    image = entry(server, "moved/app", pull="newer")
    assert play(tmp_path, hosts, seeded("alpha", image)).changed() == ["alpha", "beta", "gamma"]
    moved = example(tmp_path / "two", ("new", b"new"))
    server.push(moved.path, "moved/app:1")
    asked = len(server.requests())
    # The play is not about the seed, which pulls all the same; each batch gets what is in the run's cache.
    become = {"become": True, "become_method": "ansible.builtin.su"}
    away = seeded("alpha", image, hosts="beta:gamma", serial=1, **become)
    predicted = play(tmp_path, hosts, away, "--check")
    assert {host for host, _action in predicted.actions()} == {"beta", "gamma"}
    done = play(tmp_path, hosts, away)
    assert done.status == 0 and set(named(hosts["gamma"]).values()) == {moved.digest}
    new = [moved.digest, moved.config_digest, moved.layers[2]["digest"]]
    assert done.brought == sorted(f"{host} {d.replace(':', '-')}" for host in ("beta", "gamma") for d in new)
    assert pulled(server.requests()[asked:]).count(f"GET /v2/moved/app/blobs/{moved.layers[2]['digest']}") == 1
    # What is damaged on one host comes from the other.
    layer = blob(hosts["beta"], moved.layers[0]["digest"])
    layer.write_bytes(layer.read_bytes()[::-1])
    repaired = play(tmp_path, hosts, seeded("alpha", {**image, "verify": True}))
    assert repaired.changed() == ["beta"]
    assert repaired.brought == [f"beta {moved.layers[0]['digest'].replace(':', '-')}"]
    assert play(tmp_path, hosts, away).changed() == []


def test_the_controller_pulls(server: registry.Registry, hosts: dict[str, Host], tmp_path: Path) -> None:
    layout = example(tmp_path / "layout")
    server.push(layout.path, "controller/app:1")
    begin = len(server.requests())
    offline = {name: hosts[name] for name in ("beta", "gamma")}
    task = [{"tasks": [{MODULE: entry(server, "controller/app", seed="controller")}], "serial": 1}]
    predicted = play(tmp_path, offline, task, "--check")
    assert pulled(server.requests()[begin:]) == []
    done = play(tmp_path, offline, task)
    assert done.status == 0 and done.actions() == predicted.actions() and done.changed() == ["beta", "gamma"]
    blobs = pulled(server.requests()[begin:])
    assert sorted(set(blobs)) == sorted(set(each_once(layout, "controller/app"))) and len(blobs) == len(set(blobs))
    assert done.brought == files(layout, "beta", "gamma")
    assert "password" not in done.output and not Path("/var/lib/barekernel/images").exists()
    asked = len(server.requests())
    assert play(tmp_path, offline, task).changed() == [] and len(server.requests()) == asked


def test_what_cannot_be_handed_over(server: registry.Registry, hosts: dict[str, Host], tmp_path: Path) -> None:
    layout = example(tmp_path / "layout")
    server.push(layout.path, "broken/app:1")
    image = entry(server, "broken/app")

    def refused(seed: str, **environment: str) -> str:
        tasks = [{MODULE: {**image, "seed": seed}}]
        done = play(tmp_path, hosts, [{"hosts": "beta", "tasks": tasks}], **environment)
        assert done.status == 2 and named(hosts["beta"]) == {} and done.changed() == []
        return " ".join(done.output.split())

    (tmp_path / "empty").mkdir()
    assert "there is no host delta in the inventory" in refused("delta")
    assert "seed alpha: there is no image" in refused("alpha")
    assert "skopeo, which is not installed" in refused("controller", PATH=str(tmp_path / "empty"))
    assert play(tmp_path, hosts, [{"hosts": "alpha", "tasks": [{MODULE: image}]}]).changed() == ["alpha"]
    layer = blob(hosts["alpha"], layout.layers[1]["digest"])
    layer.write_bytes(layer.read_bytes()[::-1])
    assert "was damaged on its way" in refused("alpha")
    assert hosts["beta"].path("/var/lib/barekernel/images").exists() is False


def saved(folder: Path, form: str, content: bytes) -> dict[str, Any]:
    """The options that take an archive of the controller with that content."""
    target = folder / "files" / form
    target.parent.mkdir(exist_ok=True)
    subprocess.run(["rm", "-rf", target], check=True)
    members = (("etc", None), ("etc/content", content))
    if form == "rootfs":
        target.write_bytes(tar(*members))
        return {"rootfs": {"path": form, "remote_src": False}}
    layout = Layout(folder / f"layout-{form}-{content.decode()}").add(tar(*members))
    suffix = "" if form == "oci" else ":example/app:1"
    copy = ["skopeo", "copy", "-q", f"oci:{layout.write()}:image", f"{form}:{target}{suffix}"]
    subprocess.run(copy, check=True)
    return {"archive": {"path": form, "remote_src": False}}


def test_archives_of_the_controller(hosts: dict[str, Host], tmp_path: Path) -> None:
    """Copied to a host that lacks them, found where copy finds its files, and never twice."""
    forms = ("oci", "oci-archive", "docker-archive", "rootfs")

    def tasks(content: bytes) -> list[dict[str, Any]]:
        made = [{MODULE: {"name": form, **saved(tmp_path, form, content)}} for form in forms]
        return [{"hosts": "beta", "tasks": made}]

    one = tasks(b"one")
    predicted = play(tmp_path, hosts, one, "--check")
    assert predicted.changed() == 4 * ["beta"] and predicted.brought == [] and named(hosts["beta"]) == {}
    done = play(tmp_path, hosts, one)
    assert done.actions() == predicted.actions() and len(done.brought) == 4, done.output
    for record in done.records:
        layer = record["result"]["image"]["layers"][0]["path"]
        assert hosts["beta"].path(layer + "/etc/content").read_bytes() == b"one"
    again = play(tmp_path, hosts, one)
    assert (again.status, again.changed(), again.brought) == (0, [], [])
    moved = play(tmp_path, hosts, tasks(b"two"))
    assert moved.changed() == 4 * ["beta"] and len(moved.brought) == 4
