# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container on the real kernel: real processes in real namespaces, changed live, and nothing left behind."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.barekernel.containers.plugins.module_utils._container.exec import ExecResource
from ansible_collections.barekernel.containers.plugins.module_utils._container.info import ContainerInfo
from ansible_collections.barekernel.containers.plugins.module_utils._container.resource import ContainerResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import (
    Interrupted,
    Outcome,
    converge,
    predict,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._core.resource import CommandFailed, Resource
from ansible_collections.barekernel.containers.plugins.module_utils._images.resource import ImageResource
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import process
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import result
from ansible_collections.barekernel.containers.plugins.module_utils._network.resource import NetworkResource

from tests import collection
from tests.kernel.module_process import check_promises
from tests.waiting import PATIENCE, until

RESOURCES: dict[str, type[Resource[Any, Any]]] = {
    "ns_container": ContainerResource,
    "ns_container_exec": ExecResource,
    "oci_image": ImageResource,
    "bridge_network": NetworkResource,
}
SERVE = "mkdir -p /srv; echo page of $HOSTNAME > /srv/index.html; exec httpd -f -p 80 -h /srv"
WEB: dict[str, Any] = {
    "name": "bktest-web",
    "image": "bktest",
    "command": ["sh", "-c", SERVE],
    "networks": [{"name": "bktest0", "ports": ["8080:80"]}],
    "limits": {"memory": "64M", "pids": "32"},
    "limits_required": False,
    "stop_timeout": 0,
}


def parameters(module: str, given: dict[str, Any]) -> dict[str, Any]:
    """As Ansible hands them to the module: defaults filled in."""
    result = ArgumentSpecValidator(collection.module_arguments(module)["argument_spec"]).validate(given)
    assert not result.error_messages, result.error_messages
    return dict(result.validated_parameters)


def apply(module: str, **given: Any) -> Outcome:
    """Check, apply, compare, apply again: every use of a resource here is a test of its idempotence."""
    resource = RESOURCES[module]()
    params = parameters(module, given)
    promised = predict(resource, resource.desired(params)).plan.actions
    outcome = converge(resource, resource.desired(params))
    assert outcome.plan.actions == promised
    check_promises(result(outcome, with_diff=True))
    if given.get("state") != "restarted":
        assert converge(resource, resource.desired(params)).plan.actions == []
    return outcome


def run(name: str, *argv: str, **options: Any) -> dict[str, Any]:
    resource = ExecResource()
    desired = resource.desired(parameters("ns_container_exec", {"name": name, "argv": list(argv), **options}))
    return converge(resource, desired).facts


def info(name: str, lines: int = 0) -> dict[str, Any]:
    return dict(ContainerInfo().gather({"name": name, "log_lines": lines})["containers"][0])


def fetch(url: str) -> str:
    """As the host itself; the server gets a moment to listen."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def until_it_serves() -> None:
    """Until the shell of WEB has become the server: a container runs as soon as its first program does."""
    until("httpd runs", lambda: run("bktest-web", "cat", "/proc/1/comm")["stdout"] == "httpd")


@pytest.fixture(scope="module", autouse=True)
def image_and_network() -> Iterator[None]:
    copied = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]
    build = {
        "directories": [{"path": path} for path in ("/etc", "/tmp", "/root", "/srv")],
        "copy": copied,
        "run": ["/bin/busybox --install -s /bin"],
    }
    apply("oci_image", name="bktest", build=build)
    apply("bridge_network", name="bktest0", addresses=["10.88.7.1/24", "fd88:7::1/64"])
    yield
    apply("bridge_network", name="bktest0", state="absent")
    apply("oci_image", name="bktest", state="absent")


@pytest.fixture
def web() -> Iterator[dict[str, Any]]:
    """The container, running."""
    try:
        yield dict(apply("ns_container", **WEB).facts["container"])
    finally:
        apply("ns_container", name=WEB["name"], state="absent", purge_volumes=True)


@pytest.fixture
def client() -> Iterator[str]:
    name = "bktest-client"
    try:
        apply(
            "ns_container",
            name=name,
            image="bktest",
            command=["sleep", "1000"],
            stop_timeout=0,
            networks=[{"name": "bktest0"}],
        )
        yield name
    finally:
        apply("ns_container", name=name, state="absent")


def test_it_serves_its_neighbours_the_host_and_itself(web: dict[str, Any], client: str) -> None:
    assert web["status"] == "running"
    address = web["networks"]["bktest0"]["addresses"][0].partition("/")[0]
    assert fetch(f"http://{address}/") == "page of bktest-web\n"
    assert fetch("http://127.0.0.1:8080/") == "page of bktest-web\n"
    assert run(client, "wget", "-qO-", "http://bktest-web/")["stdout"] == "page of bktest-web"
    assert run(client, "wget", "-qO-", "http://10.88.7.1:8080/")["stdout"] == "page of bktest-web"
    assert run("bktest-web", "wget", "-qO-", "http://10.88.7.1:8080/")["stdout"] == "page of bktest-web"


def test_it_has_namespaces_and_an_identity_of_its_own(web: dict[str, Any]) -> None:
    pid = web["pid"]
    for namespace in ("user", "net", "pid", "ipc", "uts", "mnt", "cgroup"):
        assert Path(f"/proc/{pid}/ns/{namespace}").readlink() != Path(f"/proc/self/ns/{namespace}").readlink()
    assert run("bktest-web", "hostname")["stdout"] == "bktest-web"
    assert run("bktest-web", "cat", "/etc/hostname")["stdout"] == "bktest-web"
    assert "bktest-web" in run("bktest-web", "cat", "/etc/hosts")["stdout"]
    until_it_serves()
    # The host's mount table never shows it.
    assert "bktest-web" not in Path("/proc/self/mountinfo").read_text().replace("bk-bktest-web", "")


def test_root_of_the_container_is_nobody_on_the_host(web: dict[str, Any]) -> None:
    until_it_serves()
    status = Path(f"/proc/{web['pid']}/status").read_text()
    uid = int(next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:")))
    assert uid >= 524288
    assert run("bktest-web", "id", "-u")["stdout"] == "0"
    upper = Path("/var/lib/barekernel/containers/bktest-web/upper/srv/index.html")
    assert upper.stat().st_uid == 0  # unshifted on disk: the mount maps it
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


def test_it_has_no_file_of_the_host_open(web: dict[str, Any]) -> None:
    until_it_serves()
    opened = {os.readlink(entry) for entry in Path(f"/proc/{web['pid']}/fd").iterdir()}
    assert {name for name in opened if name.startswith("/")} == {"/dev/null"}


@pytest.mark.parametrize("way", ["path", "entrypoint"])
def test_an_image_cannot_name_a_program_of_the_host(way: str) -> None:
    """CVE-2024-21626 by an image alone, which is seen before the start; test_nsrun_escapes.py has what starts it."""
    host = Path("/run/only-on-the-host")
    host.mkdir()
    shutil.copy("/bin/busybox", host / "sh")
    through = [f"/proc/self/fd/{number}/{'../' * 12}{str(host)[1:]}" for number in range(3, 21)]
    config: dict[str, Any] = {"entrypoint": [through[0] + "/sh"], "cmd": ["-c", "echo escaped; exec sleep 1000"]}
    if way == "path":
        config.update(entrypoint=["sh"], env={"PATH": ":".join(through)})
    given = {"name": "bktest-hostile", "image": "bktest-hostile", "namespaces": {"user": "host"}, "stop_timeout": 0}
    try:
        apply("oci_image", name="bktest-hostile", build={"directories": [{"path": "/etc"}]}, config=config)
        with pytest.raises(OptionError, match=r"image: '(sh'|/proc/self/fd/3/)"):
            apply("ns_container", **given)
    finally:
        apply("ns_container", name="bktest-hostile", state="absent", purge_volumes=True)
        apply("oci_image", name="bktest-hostile", state="absent")
        shutil.rmtree(host)


@pytest.mark.parametrize(
    ("changes", "option", "how"),
    [
        ({"networks": [{"name": "bktest0", "ports": ["8081:80"]}]}, "ports", "live"),
        (
            {"networks": [{"name": "bktest0", "addresses": ["10.88.7.77"], "ports": ["8080:80"]}]},
            "networks.bktest0",
            "live",
        ),
        ({"extra_hosts": {"gate": "10.88.7.250"}}, "hosts", "live"),
        ({"dns": ["198.51.100.7"]}, "resolv.conf", "live"),
        ({"env": {"COLOUR": "red"}}, "env.COLOUR", "restart"),
        ({"read_only": False, "cap_drop": ["NET_RAW"]}, "capabilities", "restart"),
        ({"namespaces": {"ipc": "host"}}, "namespaces", "recreate"),
    ],
)
def test_a_change_is_applied_the_way_the_diff_says(
    web: dict[str, Any], changes: dict[str, Any], option: str, how: str
) -> None:
    marker = run("bktest-web", "touch", "/kept")
    assert marker["rc"] == 0
    plan = apply("ns_container", **{**WEB, **changes}).plan
    assert (option, how) in [(change.option, change.how) for change in plan.changes]
    now = info("bktest-web")
    assert (now["pid"] == web["pid"]) == (how == "live")
    kept = predict(
        ExecResource(),
        ExecResource().desired(
            parameters("ns_container_exec", {"name": "bktest-web", "argv": ["true"], "creates": "/kept"})
        ),
    ).plan.actions
    assert (kept == []) == (how != "recreate")


def links() -> set[tuple[int, str, str]]:
    """What a link is known by; whether it has a carrier is known a moment after it was made."""
    shown = subprocess.run(["ip", "-n", "bk-bktest-web", "-j", "link"], capture_output=True, check=True).stdout
    return {(link["ifindex"], link["ifname"], link["address"]) for link in json.loads(shown)}


def test_links_survive_a_restart(web: dict[str, Any]) -> None:
    before = links()
    apply("ns_container", **WEB, state="restarted")
    assert links() == before and len(before) == 2
    assert info("bktest-web")["pid"] != web["pid"]


def test_stop_and_start_again_keep_what_was_written(web: dict[str, Any]) -> None:
    run("bktest-web", "touch", "/kept")
    apply("ns_container", **WEB, state="stopped")
    assert info("bktest-web")["status"] == "stopped"
    assert not Path(f"/proc/{web['pid']}").exists()
    apply("ns_container", **WEB)
    assert run("bktest-web", "ls", "/kept")["rc"] == 0


def running() -> int | None:
    """Its process, None while it has none."""
    now = info("bktest-web")
    return int(now["pid"]) if now["status"] == "running" else None


def test_a_crashed_container_is_restarted_by_policy() -> None:
    try:
        apply("ns_container", **WEB, restart_policy="always")
        first = info("bktest-web")
        os.kill(first["pid"], signal.SIGKILL)
        until("it runs again", lambda: running() not in (None, first["pid"]), lambda: info("bktest-web"))
        assert info("bktest-web")["restarts"] == 1
        assert fetch("http://127.0.0.1:8080/") == "page of bktest-web\n"
    finally:
        apply("ns_container", name="bktest-web", state="absent")


def test_limits_of_one_that_crashes_over_and_over(tmp_path: Path) -> None:
    """Between two tries it has no cgroup: nothing is left to do, and another limit comes with the next try."""
    crashes = {"name": "bktest-crash", "image": "bktest", "stop_timeout": 0, "restart_policy": "always"}
    crashes["command"] = ["sh", "-c", "[ -e /srv/stay ] && exec sleep 1000000; sleep 0.1; exit 1"]
    crashes["mounts"] = [{"type": "bind", "source": str(tmp_path), "target": "/srv"}]
    tmp_path.chmod(0o755)
    try:
        apply("ns_container", **crashes, limits={"raw": {"cgroup.max.depth": 3}})

        def waits() -> bool:
            now = info("bktest-crash")
            return now["status"] == "restarting" and now["restarts"] >= 4  # so often that the pause is a long one

        until("a long pause", waits, lambda: info("bktest-crash"))
        assert apply("ns_container", **crashes, limits={"raw": {"cgroup.max.depth": 3}}).plan.actions == []
        plan = apply("ns_container", **crashes, limits={"raw": {"cgroup.max.depth": 5}}).plan
        assert [(c.before, c.after, c.how) for c in plan.changes] == [("3", "5", "live")]
        (tmp_path / "stay").touch()

        def stays() -> bool:
            """It runs, and it is not a try from before there was the file."""
            now = info("bktest-crash")
            return now["status"] == "running" and process.command(now["pid"]) == "sleep"

        until("it stays", stays, lambda: info("bktest-crash"))
        assert info("bktest-crash")["limits"] == {"cgroup.max.depth": "5"}
    finally:
        apply("ns_container", name="bktest-crash", state="absent")


def test_a_command_that_fails_at_once_is_reported_with_its_last_words() -> None:
    resource = ContainerResource()
    params = parameters("ns_container", {**WEB, "command": ["sh", "-c", "echo no configuration >&2; exit 3"]})
    try:
        with pytest.raises(CommandFailed) as failed:
            converge(resource, resource.desired(params))
        said = "container bktest-web exited with code 3 immediately after starting. Last log lines:\nno configuration"
        assert str(failed.value) == said
    finally:
        apply("ns_container", name="bktest-web", state="absent")


def test_an_image_whose_resolv_conf_leads_to_a_file_that_is_not_there() -> None:
    """As systemd-resolved has it. The file is made in the container, and a commit does not take it for content."""
    link = "/bin/busybox ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf"
    build = {"copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}], "directories": [{"path": "/etc"}]}
    given = {"name": "bktest-link", "image": "bktest-resolved", "command": ["/bin/busybox", "sleep", "1000000"]}
    there = os.path.lexists("/run/systemd/resolve/stub-resolv.conf")
    try:
        apply("oci_image", name="bktest-resolved", build={**build, "run": [link]})
        apply("ns_container", **given, dns=["192.0.2.7"], stop_timeout=0)
        assert run("bktest-link", "/bin/busybox", "cat", "/etc/resolv.conf")["stdout"] == "nameserver 192.0.2.7"
        assert os.path.lexists("/run/systemd/resolve/stub-resolv.conf") is there
        changed = ContainerInfo().gather({"name": "bktest-link", "changed_files": True})["containers"][0]
        assert changed["changed_files"] == []
    finally:
        apply("ns_container", name="bktest-link", state="absent")
        apply("oci_image", name="bktest-resolved", state="absent")


@pytest.mark.parametrize("kind", ["volume", "tmpfs", "bind"])
def test_what_is_mounted_at_etc(kind: str, tmp_path: Path) -> None:
    """What is ours gets hostname and resolv.conf; a directory of the host stays as it is."""
    tmp_path.chmod(0o755)
    source = {"volume": "bktest-etc", "tmpfs": None, "bind": str(tmp_path)}[kind]
    mounts = [{"type": kind, "source": source, "target": "/etc"}]
    given = {"name": "bktest-etc", "image": "bktest", "command": ["sleep", "1000000"], "stop_timeout": 0}
    try:
        apply("ns_container", **given, mounts=mounts, dns=["192.0.2.7"])
        seen = run("bktest-etc", "sh", "-c", "cat /etc/resolv.conf /etc/hostname; true")["stdout"]
        assert seen.split() == ([] if kind == "bind" else ["nameserver", "192.0.2.7", "bktest-etc"])
        assert list(tmp_path.iterdir()) == []
        apply("ns_container", **given, mounts=mounts, dns=["192.0.2.7"], state="restarted")
    finally:
        apply("ns_container", name="bktest-etc", state="absent", mounts=mounts, purge_volumes=True)


def test_a_volume_outlives_the_container_until_purged(web: dict[str, Any]) -> None:
    volume = [{"type": "volume", "source": "bktest-pages", "target": "/data"}]
    apply("ns_container", **WEB, mounts=volume)
    run("bktest-web", "touch", "/data/kept")
    apply("ns_container", name="bktest-web", state="absent")
    assert Path("/var/lib/barekernel/volumes/bktest-pages/kept").exists()
    apply("ns_container", **WEB, mounts=volume)
    assert run("bktest-web", "ls", "/data/kept")["rc"] == 0


def test_what_changed_against_the_image_is_listed(web: dict[str, Any]) -> None:
    until_it_serves()
    run("bktest-web", "sh", "-c", "rm /bin/busybox; touch /new")
    listed = ContainerInfo().gather({"name": "bktest-web", "changed_files": True})["containers"][0]["changed_files"]
    found = {entry["path"]: entry["what"] for entry in listed}
    assert found["/bin/busybox"] == "deleted"
    assert found["/new"] == found["/srv/index.html"] == "added"


def test_logs_are_kept(web: dict[str, Any]) -> None:
    apply("ns_container", **{**WEB, "command": ["sh", "-c", "echo hello; echo oops >&2; exec sleep 1000"]})
    until("both lines are there", lambda: len(info("bktest-web", 10)["logs"]) >= 2)
    assert {"hello", "oops"} <= {line.split()[-1] for line in info("bktest-web", 10)["logs"]}


def test_exec(web: dict[str, Any]) -> None:
    assert run("bktest-web", "cat", stdin="words")["stdout"] == "words"
    assert run("bktest-web", "sh", "-c", "echo $A", env={"A": "b"})["stdout"] == "b"
    assert run("bktest-web", "id", "-u", user="1000")["stdout"] == "1000"
    until_it_serves()
    assert run("bktest-web", "pwd", cwd="/srv")["stdout"] == "/srv"
    assert run("bktest-web", "true", creates="/srv/index.html") == {}
    assert run("bktest-web", "true", removes="/srv/none") == {}
    with pytest.raises(CommandFailed) as failed:
        run("bktest-web", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (failed.value.values["rc"], failed.value.values["stdout"], failed.value.values["stderr"]) == (
        7,
        "out",
        "err",
    )
    with pytest.raises(Interrupted, match=r"did not end within 0\.2 seconds and was killed"):
        run("bktest-web", "sleep", "987", timeout=0.2)
    assert "987" not in run("bktest-web", "ps")["stdout"]


REFUSALS = [
    ({"image": "bktest-none"}, "image: 'bktest-none'"),
    ({"networks": [{"name": "bktest9"}]}, "networks[0].name: 'bktest9'"),
    ({"networks": [{"name": "bktest0", "addresses": ["10.99.0.1"]}]}, "networks[0].addresses: '10.99.0.1'"),
    ({"user": "nobody-here"}, "user: 'nobody-here'"),
    ({"limits": {"memory": "64M"}, "limits_required": True}, "memory"),
    ({"limits": {"memory": "lots"}}, "limits.memory"),
    ({"name": "../up"}, "name: '../up'"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSALS)
def test_bad_input_changes_nothing(changes: dict[str, Any], words: str) -> None:
    resource = ContainerResource()
    params = parameters("ns_container", {**WEB, **changes})
    with pytest.raises((Refused, OptionError)) as refused:
        converge(resource, resource.desired(params))
    assert words in str(refused.value)
    assert not Path("/var/lib/barekernel/containers").exists()


def test_a_port_in_use_by_a_foreign_process_is_refused() -> None:
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 8080))
        foreign.listen()
        resource = ContainerResource()
        with pytest.raises(Refused, match=r"8080/tcp on 127\.0\.0\.1 is in use by \d+ "):
            converge(resource, resource.desired(parameters("ns_container", WEB)))
    assert not Path("/var/lib/barekernel/containers").exists()


@pytest.mark.parametrize(("runtime", "user"), [("nsrun", "host"), ("nsrun", "private"), ("runc", "host")])
def test_the_hosts_sys_comes_without_the_file_systems_below_it(runtime: str, user: str) -> None:
    """debugfs, tracefs and bpf are readable by root, and no namespace hides them."""
    places = ("/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf")
    options = {"namespaces": {"network": "host", "user": user}, "runtime": runtime, "stop_timeout": 0}
    for place in places:
        subprocess.run(["mount", "-t", "tmpfs", "host", place], check=True)
        Path(place, "of-the-host").touch()
    try:
        command = ["sh", "-c", "exec sleep 1000000"]
        apply("ns_container", name="bktest-sys", image="bktest", command=command, **options)
        listed = run("bktest-sys", "ls", "/sys/kernel", *places)["stdout"].split()
        assert "debug" in listed and "of-the-host" not in listed
    finally:
        apply("ns_container", name="bktest-sys", state="absent")
        for place in places:
            subprocess.run(["umount", place], check=True)
