# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers that share namespaces with another one or the host: what starts, what is refused, what a restart joins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.resource import ContainerResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import RuntimeFailure
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import control

from tests.waiting import until

from . import state
from .test_container import apply, info, parameters, run

A, B, C = "bktest-a", "bktest-b", "bktest-c"
FILES = {"network": "net"}
BASE: dict[str, Any] = {"image": "bktest", "command": ["sleep", "1000000"], "stop_timeout": 0}


@pytest.fixture(scope="module", autouse=True)
def image() -> Iterator[None]:
    build = {
        "directories": [{"path": "/etc"}],
        "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}],
        "run": ["/bin/busybox --install -s /bin"],
    }
    apply("oci_image", name="bktest", build=build)
    yield
    apply("oci_image", name="bktest", state="absent")


@pytest.fixture(autouse=True)
def none_stays() -> Iterator[None]:
    yield
    for name in (C, B, A):
        apply("ns_container", name=name, state="absent")


def declare(name: str, namespaces: dict[str, str] | None = None, **options: Any) -> list[str]:
    """Have it; the actions that it took."""
    return apply("ns_container", **{**BASE, "name": name, "namespaces": namespaces or {}, **options}).plan.actions


def namespace(pid: Any, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{FILES.get(kind, kind)}")


def refused(name: str, namespaces: dict[str, str], **options: Any) -> str:
    """What check mode and apply say alike, with nothing changed."""
    resource = ContainerResource()
    params = parameters("ns_container", {**BASE, "name": name, "namespaces": namespaces, **options})
    said = []
    before = _host()
    for attempt in (predict, converge):
        with pytest.raises((OptionError, Refused)) as error:
            attempt(resource, resource.desired(params))
        said.append(str(error.value))
    assert state.differences(before, _host()) == []
    assert said[0] == said[1]
    return said[0]


def _host() -> dict[str, Any]:
    """Without the time at which a lock was made in /run last."""
    host = state.take()
    host["files below /run"] = {p: f for p, f in host["files below /run"].items() if p != "/run/barekernel"}
    return host


OF_A = f"container:{A}"
STARTS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({}, {"pid": "host", "user": "host"}),
    ({}, {"ipc": "host", "uts": "host", "network": "host"}),
    ({}, {"network": OF_A}),
    ({}, {"network": OF_A, "user": "private"}),
    ({}, {"network": OF_A, "user": OF_A}),
    ({}, {"pid": OF_A, "network": OF_A}),
    ({}, {"pid": OF_A, "network": "host"}),
    ({}, {"pid": OF_A, "user": "host"}),
    ({}, {"ipc": OF_A, "network": OF_A}),
    ({}, {"ipc": OF_A, "network": "host"}),
    ({}, {"uts": OF_A, "network": OF_A}),
    ({}, {"uts": OF_A, "user": "private"}),
    ({}, {"cgroup": OF_A, "network": OF_A}),
    ({}, dict.fromkeys(("user", "network", "pid", "ipc", "uts", "cgroup"), OF_A)),
    ({"user": "host"}, {"pid": OF_A, "ipc": OF_A}),
    ({"network": "host"}, {"pid": OF_A, "network": OF_A}),
    ({"ipc": "host", "network": "host"}, {"ipc": OF_A, "network": OF_A}),
]


@pytest.mark.parametrize(("of_a", "wanted"), STARTS, ids=[json.dumps(row) for row in STARTS])
def test_it_starts_in_the_namespaces_that_it_shares(of_a: dict[str, str], wanted: dict[str, str]) -> None:
    """From a container of its own, as that is where a failure would have cost the most."""
    declare(A, of_a)
    declare(B)
    assert f"start container {B}" in declare(B, wanted)
    pid, other = info(B)["pid"], info(A)["pid"]
    for kind, value in wanted.items():
        expected = {"host": namespace("self", kind), OF_A: namespace(other, kind)}.get(value)
        if expected:
            assert namespace(pid, kind) == expected
        else:
            assert namespace(pid, kind) not in (namespace("self", kind), namespace(other, kind))
    for kind in {"pid", "ipc", "uts", "network"} - set(wanted):
        assert namespace(pid, kind) not in (namespace("self", kind), namespace(other, kind))
    assert run(B, "true")["rc"] == 0


NEEDS_NETWORK = f"needs namespaces.network: {OF_A} or host too"
NEVER: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({}, {"pid": "host"}, "namespaces.pid: 'host': needs namespaces.user: host"),
    ({}, {"pid": "host", "user": "private"}, "namespaces.pid: 'host': needs namespaces.user: host"),
    ({}, {"pid": "host", "network": "host"}, "namespaces.pid: 'host': needs namespaces.user: host"),
    ({}, {"pid": OF_A}, f"namespaces.pid: '{OF_A}': {NEEDS_NETWORK}"),
    ({}, {"ipc": OF_A}, f"namespaces.ipc: '{OF_A}': {NEEDS_NETWORK}"),
    ({}, {"uts": OF_A}, f"namespaces.uts: '{OF_A}': {NEEDS_NETWORK}"),
    ({}, {"user": OF_A}, f"namespaces.user: '{OF_A}': {NEEDS_NETWORK}"),
    ({}, {"pid": OF_A, "user": "private"}, f"namespaces.pid: '{OF_A}': needs namespaces.user: {OF_A}"),
    ({}, {"ipc": OF_A, "user": "private"}, f"namespaces.ipc: '{OF_A}': needs namespaces.user: {OF_A}"),
    ({}, {"cgroup": OF_A, "user": "private"}, f"namespaces.cgroup: '{OF_A}': needs namespaces.user: {OF_A}"),
    ({"user": "host"}, {"pid": OF_A, "user": "private"}, f"namespaces.pid: '{OF_A}': needs namespaces.user: host"),
]


@pytest.mark.parametrize(("of_a", "wanted", "words"), NEVER, ids=[json.dumps(row[:2]) for row in NEVER])
def test_what_no_process_could_start_with_is_refused_and_changes_nothing(
    of_a: dict[str, str], wanted: dict[str, str], words: str
) -> None:
    declare(A, of_a)
    declare(B)
    pid = info(B)["pid"]
    assert refused(B, wanted).startswith(words)
    assert info(B)["pid"] == pid


def test_a_third_one_shares_what_the_second_shares() -> None:
    declare(A)
    declare(B, {"pid": OF_A, "network": OF_A})
    declare(C, {"pid": f"container:{B}", "network": f"container:{B}"})
    for kind in ("pid", "network", "user"):
        assert namespace(info(C)["pid"], kind) == namespace(info(A)["pid"], kind)
    assert namespace(info(C)["pid"], "ipc") != namespace(info(A)["pid"], "ipc")
    assert "shares namespaces with" in refused(A, {"ipc": f"container:{C}"})


def taken_pid(pid: int) -> subprocess.Popen[bytes]:
    """A process of the host that has this PID."""
    while True:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = subprocess.Popen(["sleep", "1000000"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()


ALL = {"user": "host", "network": OF_A, "pid": OF_A, "ipc": OF_A, "uts": OF_A, "cgroup": OF_A}


def restarted(name: str) -> Any:
    """The container when it was tried again at least twice from now on."""
    tries = info(name)["restarts"]
    until("it was tried again", lambda: info(name)["restarts"] >= tries + 2)
    return info(name)


def test_a_restart_never_joins_whoever_got_the_pid() -> None:
    """As after a boot, when every PID is another process's."""
    declare(A, {"user": "host"})
    declare(B, ALL, restart_policy="always")
    old = info(A)["pid"]
    assert namespace(info(B)["pid"], "pid") == namespace(old, "pid")
    declare(A, {"user": "host"}, state="stopped")
    process = taken_pid(old)
    try:
        tried = restarted(B)
        assert tried["status"] == "restarting" and tried["pid"] is None
        assert f"container {A} does not run; start it first" in tried["error"]
    finally:
        process.kill()
        process.wait()
    declare(A, {"user": "host"})
    until("it runs again", lambda: info(B)["status"] == "running")
    for kind in ("pid", "ipc", "uts", "network", "cgroup"):
        assert namespace(info(B)["pid"], kind) == namespace(info(A)["pid"], kind)
    assert run(B, "true")["rc"] == 0


#: Joins the namespaces that have a path, and no more: real ones leave cgroups all over a hybrid host.
RUNTIME = """#!{python}
import ctypes, json, os, signal, subprocess, sys
if sys.argv[1:] == ["--version"]:
    sys.stdout.write("runtime version 1, spec: 1.0.2")
    sys.exit(0)
words = sys.argv[5:]  # after --root and --log
if words[0] == "create":
    with open(words[2] + "/config.json") as file:
        listed = json.load(file)["linux"]["namespaces"]
    with open("{seen}", "w") as file:
        json.dump([n["type"] for n in listed if n.get("path")], file)
    for fd in [os.open(n["path"], os.O_RDONLY) for n in listed if n.get("path")]:
        if ctypes.CDLL(None).setns(fd, 0):
            sys.exit("cannot join")
    running = subprocess.Popen(["sleep", "1000000"], start_new_session=True)
    for path in (words[4], "{seen}.pid"):
        with open(path, "w") as file:
            file.write(str(running.pid))
if words[0] == "delete" and os.path.exists("{seen}.pid"):
    with open("{seen}.pid") as file:
        pid = int(file.read())
    os.remove("{seen}.pid")
    if os.path.exists(f"/proc/{{pid}}"):
        os.kill(pid, signal.SIGKILL)
"""


def test_another_runtime_gets_paths_that_are_good_at_that_moment(tmp_path: Path) -> None:
    runtime, seen = tmp_path / "runtime", tmp_path / "seen"
    runtime.write_text(RUNTIME.format(python=sys.executable, seen=seen))
    runtime.chmod(0o755)
    declare(A, {"user": "host"})
    declare(B, ALL, restart_policy="always", runtime=str(runtime))
    old, kinds = info(A)["pid"], ["network", "pid", "ipc", "uts", "cgroup"]
    assert sorted(json.loads(seen.read_text())) == sorted(kinds)
    assert [namespace(info(B)["pid"], kind) for kind in kinds] == [namespace(old, kind) for kind in kinds]
    seen.unlink()
    declare(A, {"user": "host"}, state="stopped")
    process = taken_pid(old)
    try:
        assert f"container {A} does not run; start it first" in restarted(B)["error"]
        assert not seen.exists()
    finally:
        process.kill()
        process.wait()


def test_no_path_to_a_process_is_kept() -> None:
    declare(A)
    declare(B, {**ALL, "user": OF_A})
    for file in ("bundle/config.json", "launch.json", "container.json"):
        assert "/proc/" + str(info(A)["pid"]) not in Path(f"/var/lib/barekernel/containers/{B}/{file}").read_text()
    declare(B, {**ALL, "user": OF_A}, state="stopped")
    assert not Path(f"/run/barekernel/containers/{B}/bundle").exists()


def test_while_the_other_one_is_down_it_can_be_stopped_kept_and_removed_but_not_started() -> None:
    shared = {"network": OF_A, "ipc": OF_A}
    declare(A)
    declare(B, shared)
    declare(A, state="stopped")
    pid = info(B)["pid"]
    assert declare(B, shared) == [] and info(B)["pid"] == pid
    assert (
        refused(B, shared, state="restarted") == f"namespaces.ipc: '{OF_A}': container {A} does not run; start it first"
    )
    declare(B, shared, state="stopped")
    assert info(B)["status"] == "stopped"
    assert refused(B, shared) == f"namespaces.ipc: '{OF_A}': container {A} does not run; start it first"
    declare(B, shared, state="present", labels={"a": "b"})  # what a boot does before any container runs
    with pytest.raises(RuntimeFailure, match=f"namespaces.ipc: container {A} does not run; start it first"):
        control.start(B)
    declare(A)
    declare(B, shared)
    assert namespace(info(B)["pid"], "ipc") == namespace(info(A)["pid"], "ipc")


def test_its_network_is_there_although_the_other_one_is_down() -> None:
    declare(A)
    declare(A, state="stopped")
    declare(B, {"network": OF_A})
    assert info(B)["status"] == "running"


def test_when_the_other_one_has_new_namespaces_it_is_restarted_and_keeps_what_it_wrote() -> None:
    shared = {"network": OF_A, "ipc": OF_A}
    declare(A)
    declare(B, shared)
    run(B, "touch", "/written")
    apply("ns_container", **BASE, name=A, state="restarted")
    assert namespace(info(B)["pid"], "ipc") != namespace(info(A)["pid"], "ipc")
    assert declare(B, shared) == [
        f"stop container {B} (to restart it with another namespace_owner)",
        f"start container {B}",
    ]
    assert namespace(info(B)["pid"], "ipc") == namespace(info(A)["pid"], "ipc")
    assert run(B, "ls", "/written")["rc"] == 0


@pytest.mark.parametrize("user", ["private", "host"])
def test_one_whose_namespace_lost_its_name_comes_back_into_one_that_has_it(user: str) -> None:
    """Its process keeps the old one, in which no link or address would be changed any more."""
    network = {"name": "bktest0", "addresses": ["10.88.7.1/24"]}
    options = {"networks": [{"name": "bktest0", "addresses": ["10.88.7.9/24"]}]}
    apply("bridge_network", **network)
    try:
        declare(A, {"user": user}, **options)
        subprocess.run(["ip", "netns", "delete", f"bk-{A}"], check=True)
        actions = declare(A, {"user": user}, **options)
        assert f"stop container {A} (to restart it with another namespace_owner)" in actions
        named = os.stat(f"/run/netns/bk-{A}").st_ino
        assert namespace(info(A)["pid"], "network") == f"net:[{named}]"
        assert "10.88.7.9/24" in run(A, "ip", "address", "show", "eth0")["stdout"]
        assert declare(A, {"user": user}, **options) == []
        apply("ns_container", name=A, state="absent")
    finally:
        apply("bridge_network", name="bktest0", state="absent")
