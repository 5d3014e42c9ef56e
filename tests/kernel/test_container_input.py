# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a running container is asked to become: what cannot work stops nothing, what can be changed live is."""

from __future__ import annotations

import json
import os
import re
import resource as resource_
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.exec import ExecResource
from ansible_collections.barekernel.containers.plugins.module_utils._container.resource import ContainerResource
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted, converge, predict
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError, Refused
from ansible_collections.barekernel.containers.plugins.module_utils._core.resource import CommandFailed
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import capabilities

from tests.waiting import until

from . import state
from .layouts import Layout, tar
from .module_process import run_module
from .test_container import apply, info, parameters, run

NAME = "bktest-web"
HOME = Path("/var/lib/barekernel/containers") / NAME
BASE: dict[str, Any] = {
    "name": NAME,
    "image": "bktest",
    "command": ["sh", "-c", "mkfifo /pipe; exec 3<>/pipe; while read word <&3; do echo $word; done"],
    "networks": [{"name": "bktest0"}],
    "stop_timeout": 0,
}


def programs(directory: Path) -> list[dict[str, str]]:
    """Files of the image: each is executable, and none can be executed; one by nobody but root."""
    foreign = bytearray(Path("/bin/busybox").read_bytes()[:64])
    foreign[18:20] = (243 if os.uname().machine != "riscv64" else 62).to_bytes(2, "little")
    made = {
        "lost": b"#!/no/such/interpreter -x\n",
        "twice": b"#! /opt/lost\n",
        "text": b"echo there is no first line\n",
        "foreign": bytes(foreign),
        "dynamic": Path(sys.executable).resolve().read_bytes()[:4096],
        "roots": b"#!/bin/sh\nexec sleep 1000000\n",
    }
    copied = []
    for name, content in made.items():
        (directory / name).write_bytes(content)
        mode = "0700" if name == "roots" else "0755"
        copied.append({"src": str(directory / name), "dest": f"/opt/{name}", "mode": mode})
    return copied


@pytest.fixture(scope="module", autouse=True)
def image_and_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    build = {
        "directories": [{"path": path} for path in ("/etc", "/srv")],
        "copy": [
            {"src": "/bin/busybox", "dest": "/bin/busybox"},
            {"src": "/etc/hostname", "dest": "/etc/plain", "mode": "0644"},
            *programs(tmp_path_factory.mktemp("programs")),
        ],
        "run": ["/bin/busybox --install -s /bin"],
    }
    apply("oci_image", name="bktest", build=build)
    apply("bridge_network", name="bktest0", addresses=["10.88.7.1/24", "fd88:7::1/64"])
    yield
    apply("bridge_network", name="bktest0", state="absent")
    apply("oci_image", name="bktest", state="absent")


@pytest.fixture
def web() -> Iterator[dict[str, Any]]:
    try:
        yield dict(apply("ns_container", **BASE).facts["container"])
    finally:
        apply("ns_container", name=NAME, state="absent")


@pytest.fixture
def db() -> Iterator[str]:
    name = "bktest-db"
    try:
        apply("ns_container", **{**BASE, "name": name})
        yield name
    finally:
        apply("ns_container", name=name, state="absent")


def taken() -> dict[str, Any]:
    """The host, without the time at which a lock was made in /run last."""
    host = state.take()
    host["files below /run"] = {p: f for p, f in host["files below /run"].items() if p != "/run/barekernel"}
    return host


BAD: list[tuple[dict[str, Any], str]] = [
    ({"mounts": [{"source": "/nope", "target": "/x"}]}, "mounts[0].source: '/nope': is not on this host"),
    (
        {"mounts": [{"source": "/srv", "target": "/x"}, {"source": "/etc/passwd", "target": "/srv"}]},
        "mounts[1].target: '/srv': is a directory in the image",
    ),
    (
        {"mounts": [{"source": "/srv", "target": "/etc/plain"}]},
        "mounts[0].target: '/etc/plain': is a file in the image",
    ),
    ({"mounts": [{"source": "/srv", "target": "/etc/plain/x"}]}, "mounts[0].target: '/etc/plain/x': /etc/plain is no"),
    ({"mounts": [{"source": "/srv", "target": "/" + "x" * 256}]}, "xxx...': no path can be so long"),
    ({"mounts": [{"type": "tmpfs", "target": "/x", "options": ["uid=70000"]}]}, "mounts[0].options: 'uid=70000': is"),
    (
        {"mounts": [{"source": "/proc", "target": "/x", "options": ["idmap"]}]},
        "mounts[0].options: 'idmap': the kernel does not map the IDs of the file system of /proc",
    ),
    ({"mounts": [{"source": "/etc/passwd", "target": "/y"}], "cwd": "/y"}, "cwd: '/y': is no directory in the cont"),
    ({"cwd": "/dev/null/x"}, "cwd: '/dev/null/x': is no directory in the container"),
    ({"cwd": "/dev/pts/x"}, "cwd: '/dev/pts/x': nobody can make anything in /dev/pts"),
    ({"cwd": "/proc/1/x"}, "cwd: '/proc/1/x': nobody can make anything in /proc"),
    ({"cwd": "/sys/x"}, "cwd: '/sys/x': nobody can make anything in /sys"),
    (
        {"mounts": [{"source": "/dev/null", "target": "/bin/sleep"}], "command": ["sleep", "1"]},
        "command: 'sleep': is /bin/busybox in the image, and mounts[0] hides it",
    ),
    (
        {"mounts": [{"type": "tmpfs", "target": "/bin"}], "command": ["sleep", "1"]},
        "command: 'sleep': is /bin/sleep in the image, and mounts[0] hides it",
    ),
    ({"command": ["/dev/null"]}, "command: '/dev/null': no such program is in image 'bktest'"),
    (
        {"mounts": [{"source": str(HOME), "target": "/x"}]},
        f"mounts[0].source: '{HOME}': is in /var/lib/barekernel, which",
    ),
    ({"cwd": "/x" * 2100}, "/x...': no path can be so long"),
    ({"cwd": "/etc/plain/x"}, "cwd: '/etc/plain/x': /etc/plain is no directory in the image"),
    (
        {"mounts": [{"type": "tmpfs", "target": "/x", "options": ["size=lots"]}]},
        "mounts[0].options: 'size=lots': the kernel does not take it",
    ),
    ({"mounts": [{"type": "tmpfs", "target": "/x", "options": ["mode=99"]}]}, "mounts[0].options: 'mode=99'"),
    ({"mounts": [{"type": "tmpfs", "target": "/x", "options": ["nope=1"]}]}, "mounts[0].options: 'nope=1'"),
    ({"mounts": [{"source": "/srv", "target": "/x", "options": ["size=1m"]}]}, "mounts[0].options: 'size=1m'"),
    (
        {"mounts": [{"source": "/srv", "target": "/x", "propagation": "rslave"}]},
        "mounts[0].propagation: 'rslave': the mount at / that holds /srv is private on this host",
    ),
    ({"mounts": [{"source": "/srv", "target": "/x", "options": ["slave"]}]}, "mounts[0].options: 'slave': the mount"),
    ({"mounts": [{"source": "/srv", "target": "/x"}, {"source": "/etc", "target": "/x/"}]}, "mounts[1].target: '/x/'"),
    ({"sysctls": {"net.ipv4.nope": 1}}, "sysctls.net.ipv4.nope: '1': the kernel has no such parameter"),
    ({"sysctls": {"net.ipv4.tcp_mem": "1 2 3"}}, "sysctls.net.ipv4.tcp_mem: '1 2 3': the kernel has no such"),
    ({"sysctls": {"net.ipv4.ip_forward": "abc"}}, "sysctls.net.ipv4.ip_forward: 'abc': takes numbers"),
    ({"user": "99999999999"}, "user: '99999999999': user 99999999999 is no ID"),
    (
        {"user": "nobody7"},
        "user: 'nobody7': user nobody7 is not in the image's /etc/passwd; write a numeric ID",
    ),
    ({"user": "70000"}, "user: '70000': the user ID 70000 is not one of the container's user namespace (0 to 65535)"),
    ({"runtime": "/nope"}, "runtime: '/nope': is no program on this host"),
    ({"runtime": "/bin/ls"}, "runtime: '/bin/ls': is not an OCI runtime (/bin/ls --version says 'ls (GNU coreutils)"),
    ({"runtime": "/bin/false"}, "runtime: '/bin/false': is not an OCI runtime (/bin/false --version says"),
    ({"command": ["/no/such"]}, "command: '/no/such': no such program is in image 'bktest'"),
    ({"command": ["no-such"]}, "command: 'no-such': no such program is in image 'bktest' in PATH"),
    ({"command": ["/etc/plain"]}, "command: '/etc/plain': is not executable"),
    ({"command": ["x" * 70000]}, "command: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...': no program can have so long"),
    ({"command": ["/x" * 2048]}, "/x...': no program can have so long a name"),
    ({"cwd": "/etc/plain"}, "cwd: '/etc/plain': is no directory in the image"),
    ({"networks": [{"name": "bktest0", "mac": "zz"}]}, "networks[0].mac: 'zz'"),
    ({"networks": [{"name": "bktest0", "mac": "01:00:00:00:00:01"}]}, "networks[0].mac: '01:00:00:00:00:01'"),
    ({"networks": [{"name": "bktest0", "aliases": ["bktest-db"]}]}, "networks[0].aliases: 'bktest-db'"),
    ({"namespaces": {"ipc": "container:nope"}}, "namespaces.ipc: 'container:nope'"),
    ({"stop_timeout": 10**9}, "stop_timeout: 1000000000"),
    (
        {"sysctls": {"net.ipv4.ping_group_range": "0 2147483647"}},
        "sysctls.net.ipv4.ping_group_range: '0 2147483647': the kernel does not take it in a user namespace",
    ),
    ({"sysctls": {"net.core.somaxconn": -1}}, "sysctls.net.core.somaxconn: '-1': the kernel does not take it"),
    ({"sysctls": {"net.ipv4.conf.eth0.rp_filter": 9**20}}, "sysctls.net.ipv4.conf.eth0.rp_filter: '1215766545"),
    # Files of the host's parameters, which the kernel does not even open; older ones do not show them.
    ({"sysctls": {"net.core.rmem_max": 212992}}, "sysctls.net.core.rmem_max: '212992': the kernel "),
    ({"sysctls": {"net/netfilter/nf_conntrack_max": 1}}, "sysctls.net.netfilter.nf_conntrack_max: '1': the kernel "),
    ({"sysctls": {"net.ipv4.ip_forward": 1, "net/ipv4/ip_forward": 0}}, "sysctls: 'net/ipv4/ip_forward': is there twi"),
    (
        {"sysctls": {"net.ipv6.conf.all.disable_ipv6": 1}},
        "sysctls.net.ipv6.conf.all.disable_ipv6: '1': keeps IPv6 off eth0, and network bktest0 has IPv6: leave it out",
    ),
    ({"sysctls": {"net/ipv6/conf/eth0/disable_ipv6": 1}}, "sysctls.net.ipv6.conf.eth0.disable_ipv6: '1': keeps IPv6"),
    ({"sysctls": {"kernel.shmmni": -1}}, "sysctls.kernel.shmmni: '-1': the kernel does not take it"),
    ({"env": {"V": "x" * 200_000}}, "env.V: 'a long text': is 200002 bytes long, and the kernel takes 131071"),
    ({"command": ["sh", "x" * 131072]}, "command: 'xxxxxxxxxxxxxxxxxxxx...': is 131072 bytes long"),
    ({"env": {f"V{n}": "x" * 100_000 for n in range(100)}}, "env: 'all of it': with the arguments it is 10001"),
    (
        {"command": ["/opt/lost"]},
        "command: '/opt/lost': the interpreter that it names, /no/such/interpreter, is not in the image",
    ),
    ({"command": ["/opt/twice"]}, "the interpreter that /opt/lost names, /no/such/interpreter, is not in the image"),
    ({"command": ["/opt/text"]}, "command: '/opt/text': it is not a program for this machine, and has no #! line"),
    ({"command": ["/opt/foreign"]}, "command: '/opt/foreign': it is a program for "),
    ({"command": ["/opt/dynamic"]}, "command: '/opt/dynamic': the loader that it names, /lib"),
    ({"rlimits": {"nofile": "2:1"}}, "rlimits: '2:1'"),
    ({"rlimits": {"nofile": "2000000000"}}, "rlimits.nofile: '2000000000': is above fs.nr_open of this host"),
    ({"rlimits": {"nofile": "9:2000000000"}}, "rlimits.nofile: '9:2000000000': is above fs.nr_open of this host"),
    ({"sysctls": {"kernel.domainname": "lab"}}, "sysctls.kernel.domainname: 'lab': cannot be set in a user namespace"),
    (
        {"namespaces": {"user": "host"}, "mounts": [{"source": "/srv", "target": "/x", "options": ["idmap"]}]},
        "mounts[0].options: 'idmap': the container has no user namespace",
    ),
]


def test_what_cannot_work_stops_nothing(db: str, web: dict[str, Any]) -> None:
    """Check mode says the same, and the process and all there is of it stay."""
    resource = ContainerResource()
    before = taken()
    for changes, words in BAD:
        params = parameters("ns_container", {**BASE, **changes})
        for attempt in (predict, converge):
            with pytest.raises((OptionError, Refused)) as refused:
                attempt(resource, resource.desired(params))
            assert words in str(refused.value)
        assert info(NAME)["pid"] == web["pid"], words
        assert state.differences(before, taken()) == [], words


def test_what_comes_with_a_mount_is_looked_for_there_by_the_runtime(web: dict[str, Any], tmp_path: Path) -> None:
    """What a mount may provide is not refused; what it then does not is told of by the option's name."""
    tmp_path.chmod(0o755)  # the container's root is nobody here
    mounts = [{"type": "tmpfs", "target": "/y"}, {"source": str(tmp_path), "target": "/x"}]
    resource = ContainerResource()
    params = parameters("ns_container", {**BASE, "mounts": mounts, "command": ["/x/none"]})
    with pytest.raises(Interrupted) as failed:
        converge(resource, resource.desired(params))
    assert str(failed.value).startswith(f"failed: start container {NAME}: command: '/x/none': No such file")
    assert any(action.startswith(f"stop container {NAME}") for action in failed.value.done)
    os.symlink("/bin/busybox", tmp_path / "sleep")
    apply("ns_container", **{**BASE, "mounts": mounts, "command": ["/x/sleep", "1000"]})
    # Below directories, too, that the image does not have.
    mounts[1]["target"] = "/made/for/x"
    apply("ns_container", **{**BASE, "mounts": mounts, "command": ["/made/for/x/sleep", "1000"]})


def test_a_program_of_its_own_and_one_behind_links_are_found(web: dict[str, Any]) -> None:
    run(NAME, "sh", "-c", "mkdir /own; cp /bin/busybox /own/sleep; ln -s ../own /srv/link")
    apply("ns_container", **{**BASE, "command": ["/srv/link/sleep", "1000"]})
    run(NAME, "rm", "-r", "/own")
    resource, params = ContainerResource(), parameters("ns_container", {**BASE, "command": ["/own/sleep", "1"]})
    with pytest.raises(OptionError, match="command: '/own/sleep'"):
        converge(resource, resource.desired(params))


def test_parameters_of_an_interface_that_is_still_to_come(web: dict[str, Any]) -> None:
    named = [{"name": "bktest0", "interface": "lan0"}]
    apply(
        "ns_container",
        **{
            **BASE,
            "networks": named,
            "sysctls": {"net.ipv4.conf.lan0.rp_filter": 2, "net.ipv4.neigh.lan0.ucast_solicit": 5},
        },
    )
    assert run(NAME, "cat", "/proc/sys/net/ipv4/conf/lan0/rp_filter")["stdout"] == "2"


LIVE: list[dict[str, Any]] = [
    {"labels": {"a": "b"}},
    {"restart_policy": "always"},
    {"stop_signal": "SIGINT"},
    {"stop_timeout": 3},
    {"log_max_size": 4096},
    {"log_max_files": 2},
]


def test_what_can_be_changed_live_is(web: dict[str, Any]) -> None:
    """One after the other: the process is the same one throughout, and each change is what is then on the disk."""
    given = dict(BASE)
    for change in LIVE:
        given.update(change)
        plan = apply("ns_container", **given).plan
        assert {(c.option, c.how) for c in plan.changes} == {(option, "live") for option in change}
        assert info(NAME)["pid"] == web["pid"]
    assert json.loads((HOME / "bundle/config.json").read_text())["annotations"]["a"] == "b"
    assert info(NAME)["labels"] == {"a": "b"}
    # The supervisor goes by what it reads now.
    os.kill(web["pid"], signal.SIGKILL)
    until("it runs again", lambda: info(NAME)["restarts"] == 1 and info(NAME)["status"] == "running")
    apply("ns_container", **{**given, "stop_signal": "SIGTERM", "stop_timeout": 0})


def test_log_limits_hold_at_once(web: dict[str, Any]) -> None:
    apply("ns_container", **{**BASE, "log_max_size": 4096, "log_max_files": 2})
    until("it reads", lambda: run(NAME, "ls", "/")["stdout"].find("pipe") >= 0)
    run(NAME, "sh", "-c", "i=0; while [ $i -lt 200 ]; do echo word-$i; i=$((i+1)); done > /pipe")
    until("the last word is there", lambda: any("word-199" in line for line in info(NAME, 5)["logs"]))
    assert info(NAME)["pid"] == web["pid"]
    assert max(file.stat().st_size for file in (HOME / "log").iterdir()) <= 4096
    assert len(list((HOME / "log").iterdir())) == 2


def test_a_container_that_dies_at_once_lists_what_was_done() -> None:
    try:
        result = run_module("ns_container", {**BASE, "command": ["false"]})
        assert result["failed"] and result["changed"] and result["actions"][-1] == f"start container {NAME}"
        resource, params = ContainerResource(), parameters("ns_container", {**BASE, "command": ["false"]})
        with pytest.raises(CommandFailed) as failed:
            converge(resource, resource.desired(params))
        assert failed.value.done[-1] == f"start container {NAME}"
    finally:
        apply("ns_container", name=NAME, state="absent")


def test_numbers_beyond_all_bounds_in_exec(web: dict[str, Any]) -> None:
    resource = ExecResource()
    for options, words in (
        ({"timeout": 1e12}, "timeout: 1000000000000.0: must be more than 0 and at most 1000000 seconds"),
        ({"timeout": float("nan")}, "timeout: nan"),
        ({"user": "5000000000"}, "user: '5000000000': user 5000000000 is no ID"),
        ({"user": "70000"}, "user: '70000': the user ID 70000 is not one of the container's"),
    ):
        params = parameters("ns_container_exec", {"name": NAME, "argv": ["true"], **options})
        with pytest.raises(OptionError) as refused:
            converge(resource, resource.desired(params))
        assert words in str(refused.value)


def shown(name: str) -> tuple[Any, ...]:
    """What a task on a state alone must not touch."""
    config = json.loads((HOME / "bundle/config.json").read_text())
    targets = [m["destination"] for m in config["mounts"]]
    return (
        [e for e in config["process"]["env"] if e.startswith("A=")],
        "/opt" in targets,
        sorted(info(name)["networks"]),
    )


def test_a_state_by_name_alone_keeps_what_was_declared(web: dict[str, Any], tmp_path: Path) -> None:
    full = {**BASE, "env": {"A": "b"}, "mounts": [{"source": str(tmp_path), "target": "/opt"}]}
    apply("ns_container", **full)
    kept = shown(NAME)
    assert kept == (["A=b"], True, ["bktest0"])
    for task in ({"state": "stopped"}, {"state": "started"}, {"state": "present"}, {"state": "restarted"}):
        plan = apply("ns_container", name=NAME, **task).plan
        assert shown(NAME) == kept and plan.warnings == ()
    assert run_module("ns_container", {"name": NAME, "image": "bktest", "state": "restarted"})["changed"]
    assert shown(NAME) == kept
    after = run_module("ns_container", full)
    assert (after["changed"], after["actions"], after.get("warnings")) == (False, [], None)
    # A declaration is a declaration, and one that only seems to be after a state says what it drops.
    task = {"name": NAME, "image": "bktest", "command": BASE["command"], "state": "restarted"}
    plan = apply("ns_container", **task, stop_timeout=0).plan
    assert {"env.A", "mounts", "networks.bktest0"} <= {change.option for change in plan.changes}
    assert ["env, mounts, networks of its declaration are dropped" in warning for warning in plan.warnings] == [True]
    assert shown(NAME) == ([], False, [])


def test_by_name_alone_where_nothing_is_declared() -> None:
    before = taken()
    result = run_module("ns_container", {"name": NAME, "state": "restarted"})
    assert result["failed"] and f"name: '{NAME}': no container of that name is declared" in result["msg"]
    result = run_module("ns_container", {"name": NAME, "env": {"A": "b"}})
    assert "image: None: is needed beside env" in result["msg"]
    assert state.differences(before, taken()) == []


@pytest.mark.parametrize("after", ["", "sleep 0.03; ", "sleep 0.07; ", "sleep 0.2; "])
def test_the_outcome_does_not_depend_on_the_moment_of_the_end(after: str) -> None:
    def module(**given: Any) -> dict[str, Any]:
        return run_module("ns_container", {**BASE, **given})

    one_off = {"command": ["sh", "-c", f"{after}echo done"]}
    failing = {"command": ["sh", "-c", f"echo this start; {after}exit 3"]}
    try:
        done = module(**one_off)["container"]
        assert (done["status"], done["exit_code"]) == ("exited", 0)
        again = module(**one_off)
        assert not again["changed"] and "is not started again (restart_policy no)" in str(again["warnings"])
        for _once_more in range(2):
            result = module(**failing)
            assert result["failed"] and result["changed"]
            said = f"container {NAME} exited with code 3 immediately after starting. Last log lines:\nthis start"
            assert result["msg"] == said and result["container"]["exit_code"] == 3
        again = module(**one_off, restart_policy="on-failure")["container"]
        assert (again["status"], again["exit_code"], again["restarts"]) == ("exited", 0, 0)
        # Whoever watches it sees to it: the task is done with the start.
        looping = module(**failing, restart_policy="always")
        assert not looping.get("failed") and looping["container"]["status"] in ("running", "restarting")
    finally:
        apply("ns_container", name=NAME, state="absent")


def test_a_start_that_fails_goes_back_to_what_ran(web: dict[str, Any]) -> None:
    """What nobody can know before: the program is there, and its user may not execute it."""
    run(NAME, "touch", "/kept")
    before = {path: path.read_bytes() for path in HOME.rglob("*.json") if path.is_file()}
    bad = {**BASE, "command": ["/opt/roots"], "user": "7", "env": {"A": "b"}}
    for changes in ({}, {"namespaces": {"uts": "host"}}):  # by restart, and by recreation
        result = run_module("ns_container", {**bad, **changes})
        assert result["failed"] and "Permission denied" in result["msg"], result
        assert result["msg"].endswith(f"; then: start container {NAME} again as it was")
        assert result["changed"] and any(a.startswith(f"stop container {NAME} (to re") for a in result["actions"])
        assert result["actions"][-1] == f"start container {NAME} again as it was"
        assert f"write {HOME}/bundle/config.json" in result["actions_undone"]
        assert {path: path.read_bytes() for path in HOME.rglob("*.json") if path.is_file()} == before
        assert run(NAME, "ls", "/kept")["rc"] == 0
        assert not list(HOME.glob("*.before"))
    assert run_module("ns_container", BASE)["actions"] == []
    # What did not run has nothing to go back to: what was declared stays, and is what the next run goes on from.
    apply("ns_container", name=NAME, state="stopped")
    result = run_module("ns_container", bad)
    assert result["failed"] and "actions_undone" not in result
    assert f"write {HOME}/bundle/config.json" in result["actions"]


def test_what_root_itself_may_not_do_is_refused_before_anything_is_stopped(
    web: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a host, such as a container of another engine, whose root lacks a capability."""
    all_but = {
        kind: bits & ~capabilities.mask(["CAP_SYS_RESOURCE"]) for kind, bits in capabilities.of_process().items()
    }
    monkeypatch.setattr(capabilities, "of_process", lambda: all_but)
    monkeypatch.setattr(resource_, "getrlimit", lambda _number: (65536, 65536))
    host = {"user": "host"}
    for changes, words in (
        ({"cap_add": ["SYS_RESOURCE"], "namespaces": host}, "cap_add: 'CAP_SYS_RESOURCE': root does not have it on"),
        ({"rlimits": {"memlock": "infinity"}}, "rlimits.memlock: 'unlimited': is above this host's own hard limit"),
        ({"rlimits": {"memlock": 1 << 50}}, "rlimits.memlock: '1125899906842624': is above this host's own hard limit"),
    ):
        resource, params = ContainerResource(), parameters("ns_container", {**BASE, **changes})
        with pytest.raises(OptionError, match=re.escape(words)):
            converge(resource, resource.desired(params))
        assert info(NAME)["pid"] == web["pid"]
    # In a user namespace of its own it has every one.
    apply("ns_container", **BASE, cap_add=["SYS_RESOURCE"])


def test_a_file_that_was_replaced_on_the_host_is_noticed(web: dict[str, Any], tmp_path: Path) -> None:
    """template and copy put another file in the place of the old one, which the container goes on seeing."""
    file, directory = tmp_path / "app.conf", tmp_path / "dir"
    file.write_text("one\n")
    directory.mkdir()
    tmp_path.chmod(0o755)
    given = {
        **BASE,
        "mounts": [{"source": str(file), "target": "/srv/conf"}, {"source": str(directory), "target": "/d"}],
    }
    first = apply("ns_container", **given).facts["container"]
    file.write_text("in place\n")
    assert run(NAME, "cat", "/srv/conf")["stdout"] == "in place"
    assert apply("ns_container", **given).plan.actions == []
    (tmp_path / "new").write_text("two\n")
    (tmp_path / "new").rename(file)
    directory.rmdir()
    assert run(NAME, "cat", "/srv/conf")["stdout"] == "in place"
    plan = apply("ns_container", **{**given, "mounts": given["mounts"][:1]}).plan
    assert {"mounts", "replaced_mounts"} == {change.option for change in plan.changes}
    assert run(NAME, "cat", "/srv/conf")["stdout"] == "two"
    (tmp_path / "new").write_text("three\n")
    (tmp_path / "new").rename(file)
    given["mounts"] = given["mounts"][:1]
    [change] = apply("ns_container", **given).plan.changes
    assert (change.option, change.before, change.how) == (
        "replaced_mounts",
        {"/srv/conf": f"{file} as it was"},
        "restart",
    )
    assert run(NAME, "cat", "/srv/conf")["stdout"] == "three" and info(NAME)["pid"] != first["pid"]
    # Of one that is gone for good nothing could be mounted again: what runs goes on.
    file.unlink()
    plan = apply("ns_container", **given).plan
    says = f"mounts[0].source: '{file}', mounted at /srv/conf: is not on this host: create it first"
    assert plan.actions == []
    assert [w for w in plan.warnings if "next start will fail" in w and says in w] == list(plan.warnings) != []
    file.write_text("four\n")
    assert run(NAME, "cat", "/srv/conf")["stdout"] == "three\n".strip()
    assert [change.option for change in apply("ns_container", **given).plan.changes] == ["replaced_mounts"]
    assert run(NAME, "cat", "/srv/conf")["stdout"] == "four"


END = {"interface": "bktest1"}
CHECKED: list[tuple[str, dict[str, Any]]] = [
    ("ns_container", {**BASE, "networks": [{"name": "bktestyet"}]}),
    ("ns_container", {**BASE, "image": "bktestyet"}),
    ("ns_container", {**BASE, "mounts": [{"source": "/run/bktestyet", "target": "/d"}]}),
    *(
        ("ns_container", {**BASE, "networks": [], "namespaces": {kind: "container:bktestyet"}})
        for kind in ("network", "ipc", "user")
    ),
    ("ns_container", {"name": "bktestyet", "state": "restarted"}),
    ("ns_container_exec", {"name": "bktestyet", "argv": ["true"]}),
    ("oci_image", {"name": "bktestnew", "build": {"base": "bktestyet", "run": ["true"]}}),
    ("oci_image", {"name": "bktestnew", "container": "bktestyet"}),
    ("oci_image_save", {"name": "bktestyet", "path": "/run/bktestyet.tar"}),
    ("netns_veth", {"name": "bktest", "ends": [{"container": "bktestyet", "interface": "eth1"}, END]}),
    (
        "netns_veth",
        {"name": "bktest", "ends": [{"netns": "bktestn", "interface": "a"}, {**END, "bridge": "bktestyet"}]},
    ),
    ("stack", {"containers": [{**BASE, "networks": [{"name": "bktestyet"}]}]}),
]


@pytest.mark.parametrize(("module", "params"), CHECKED)
def test_what_a_task_before_would_have_made_is_said_to_be_missing_in_check_mode(
    web: dict[str, Any], module: str, params: dict[str, Any]
) -> None:
    words = "In check mode, what a task before this one would only make is not there either: skip this task then"
    told = [run_module(module, params, check=check) for check in (True, False)]
    assert [(result["failed"], words in result["msg"]) for result in told] == [(True, True), (True, False)], told
    assert "bktestyet" in told[1]["msg"]


SRC, FILE, DIR = "{tmp}/src", "{tmp}/file", "{tmp}/dir"


def bind(target: str, source: str = DIR, **options: Any) -> dict[str, Any]:
    return {"source": source, "target": target, **options}


def memory(target: str, **options: Any) -> dict[str, Any]:
    return {"type": "tmpfs", "target": target, **options}


#: Mounts of which the last one has no place, and what is said of it.
NO_PLACE: list[tuple[list[dict[str, Any]], str]] = [
    ([bind("/proc/x")], "is below /proc, where the kernel shows nothing of that name: choose another target"),
    ([bind("/link/x")], "is below /proc, where the kernel shows nothing"),
    ([bind("/proc/cpuinfo")], "is below /proc, where it is a file, and a directory is to be mounted there"),
    ([bind("/sys/fs/x")], "is below /sys, where the kernel shows nothing of that name"),
    ([bind("/sys/fs/cgroup/x")], "is below /sys/fs/cgroup, which is read-only"),
    ([bind("/dev/null/x")], "is below /dev/null, which is a device"),
    ([bind("/y", FILE), bind("/y/z")], "is below /y, and {tmp}/file of this host, which is mounted there, is no dir"),
    ([bind("/dev/pts/x")], "is below /dev/pts, where the kernel lets nobody create"),
    ([bind("/dev/mqueue/x")], "is below /dev/mqueue, where the kernel lets nobody create a directory"),
    (
        [bind("/data", SRC, read_only=True), bind("/data/a/x/y")],
        "is mounted there, has no x and is read-only",
    ),
    ([bind("/data", SRC), bind("/data/f/x")], "src/f of this host, which is mounted there, is no directory"),
    ([bind("/data", SRC), bind("/data/x")], "has no x and belongs to a user that the container does not have: create"),
    ([bind("/data", SRC), bind("/data/f")], "is below /data, where it is a file, and a directory is to be"),
    ([memory("/data", read_only=True), bind("/data/x")], "is below /data, which is empty and read-only"),
]
#: Mounts that all have one.
PLACES = [
    *(bind("/proc/cpuinfo", FILE), bind("/dev/mqueue/x", FILE), bind("/dev/x/y"), memory("/memory"), bind("/memory/x")),
    *(bind("/open", SRC), bind("/open/open/x"), bind("/open/to/y"), bind("/mapped", SRC, options=["idmap"])),
    *(bind("/mapped/x"), bind("/only", SRC, options=["ro"]), bind("/only/a/b")),
]


def test_a_mount_whose_place_cannot_be_made_stops_nothing(web: dict[str, Any], tmp_path: Path) -> None:
    """The runtime makes it as the container's root; it would find out after the stop."""
    tmp_path.chmod(0o755)
    for path in ("src/a/b", "src/open", "dir"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "src/open").chmod(0o777)
    for path in ("src/f", "file"):
        (tmp_path / path).write_text("x")
    (tmp_path / "src/to").symlink_to("open")
    run(NAME, "ln", "-s", "proc", "/link")

    def given(mounts: list[dict[str, Any]]) -> dict[str, Any]:
        return {**BASE, "mounts": json.loads(json.dumps(mounts).replace("{tmp}", str(tmp_path)))}

    for mounts, words in NO_PLACE:
        resource = ContainerResource()
        desired = resource.desired(parameters("ns_container", given(mounts)))
        for look in (predict, converge):
            with pytest.raises(OptionError, match=re.escape(words.replace("{tmp}", str(tmp_path)))) as refused:
                pytest.fail(f"{mounts}: {look(resource, desired).plan.actions}")
            assert f"mounts[{len(mounts) - 1}].target: '{mounts[-1]['target']}': " in str(refused.value)
        assert info(NAME)["pid"] == web["pid"], mounts
    apply("ns_container", **given(PLACES))


def overlay(tmp_path: Path) -> Path:
    """A file system whose files have another device number than mountinfo says of it."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "none", tmp_path / "merged"], check=True)
    return tmp_path / "merged"


@pytest.mark.parametrize(
    ("make", "options"), [(Path, []), (Path, ["idmap"]), (overlay, [])], ids=["bind", "idmap", "overlay"]
)
def test_a_link_that_leads_elsewhere_is_noticed(
    web: dict[str, Any], tmp_path: Path, make: Callable[[Path], Path], options: list[str]
) -> None:
    """As certbot and deployments do it: the name stays, and is a link to another file or directory by now."""
    tmp_path.chmod(0o755)
    place = make(tmp_path)
    try:
        for version in ("one", "two"):
            (place / version).mkdir()
            (place / version / "key.pem").write_text(f"{version}\n")
        (place / "current").symlink_to("one")
        (place / "live.pem").symlink_to("current/key.pem")
        mounts = [
            {"source": f"{place}/live.pem", "target": "/srv/key", "read_only": True, "options": options},
            {"source": f"{place}/current", "target": "/srv/dir", "options": options},
            {"source": f"{place}/one", "target": "/srv/stays", "options": options},
        ]
        given = {**BASE, "mounts": mounts}
        apply("ns_container", **given)
        assert apply("ns_container", **given).plan.actions == []
        (place / "new").symlink_to("two")
        (place / "new").rename(place / "current")
        shown = [run(NAME, "cat", path)["stdout"] for path in ("/srv/key", "/srv/dir/key.pem")]
        assert shown == ["one", "one"]
        [change] = apply("ns_container", **given).plan.changes
        assert (change.option, change.how) == ("replaced_mounts", "restart")
        assert sorted(change.before) == ["/srv/dir", "/srv/key"]
        shown = [run(NAME, "cat", path)["stdout"] for path in ("/srv/key", "/srv/dir/key.pem", "/srv/stays/key.pem")]
        assert shown == ["two", "two", "one"]
        assert apply("ns_container", **given).plan.actions == []
        # The same directory under another name, and another one under its own.
        (place / "one").rename(place / "three")
        (place / "one").mkdir()
        [change] = apply("ns_container", **given).plan.changes
        assert sorted(change.before) == ["/srv/stays"]
    finally:
        apply("ns_container", name=NAME, state="absent")
        if place != tmp_path:
            subprocess.run(["umount", place], check=True)


def test_what_a_container_mounts_over_a_bind_is_its_own_affair(web: dict[str, Any], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    given = {**BASE, "mounts": [{"source": str(tmp_path), "target": "/srv"}], "cap_add": ["SYS_ADMIN"]}
    apply("ns_container", **given)
    run(NAME, "mount", "-t", "tmpfs", "tmpfs", "/srv")
    assert apply("ns_container", **given).plan.actions == []


def test_a_limit_that_is_not_declared_any_more_goes_back_also_after_a_kill(web: dict[str, Any]) -> None:
    """Nothing forgets a limit before the kernel has its default again."""
    raw = {"cgroup.max.depth": 3, "cgroup.max.descendants": 7}
    apply("ns_container", **BASE, limits={"raw": raw})
    plan = predict(ContainerResource(), ContainerResource().desired(parameters("ns_container", BASE))).plan
    [goes, *_others] = [n for n, action in enumerate(plan.actions) if "cgroup.max.depth" in action]
    assert goes < plan.actions.index(f"write {HOME}/launch.json")
    apply("ns_container", **BASE, limits={"raw": {"cgroup.max.depth": 3}})
    cgroup = Path(info(NAME)["cgroup"])
    assert [(cgroup / name).read_text() for name in raw] == ["3\n", "max\n"]
    apply("ns_container", **BASE)
    assert [(cgroup / name).read_text() for name in raw] == ["max\n", "max\n"]
    assert info(NAME)["pid"] == web["pid"]


@pytest.mark.parametrize("state", ["started", "present"])
def test_an_image_declares_no_volume_at_a_link_to_what_the_kernel_shows(tmp_path: Path, state: str) -> None:
    """CVE-2019-16884 by way of a symbolic link: what the image put over /proc would be believed."""
    layout = Layout(tmp_path / "layout", {"Cmd": ["/x"], "Volumes": {"/data": {}}})
    layout.add(tar(("data", "->srv/../over"), ("over", "->/proc"), ("srv", None), ("x", b"x", {"mode": 0o755}))).write()
    try:
        apply("oci_image", name="bktest-link", archive={"path": str(layout.path)})
        says = "image: 'bktest-link': it declares a volume at /data, a symbolic link to /proc: use an image without it"
        resource = ContainerResource()
        desired = resource.desired(parameters("ns_container", {"name": NAME, "image": "bktest-link", "state": state}))
        for run_it in (predict, converge):
            with pytest.raises(OptionError, match=says):
                run_it(resource, desired)
        assert not HOME.exists()
    finally:
        apply("oci_image", name="bktest-link", state="absent")


def test_a_mount_that_becomes_a_file_or_a_directory(web: dict[str, Any], tmp_path: Path) -> None:
    """The empty place that the runtime made for the former is none of the image's, nor of the container's."""
    (tmp_path / "file").write_text("content")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "within").write_text("content")
    file = {"mounts": [{"source": str(tmp_path / "file"), "target": "/run/deep/thing"}]}
    tree = {"mounts": [{"source": str(tmp_path / "tree"), "target": "/run/deep/thing"}]}
    for mounts, path in ((file, ""), (tree, "/within"), (file, ""), (tree, "/within")):
        outcome = apply("ns_container", **{**BASE, **mounts})
        assert outcome.plan.actions
        assert run(NAME, "cat", f"/run/deep/thing{path}")["stdout"] == "content"
    # One whose start fails goes back to what ran, and that has its own kind of place.
    (tmp_path / "hollow").mkdir()
    with pytest.raises(Interrupted):
        more = [*file["mounts"], {"source": str(tmp_path / "hollow"), "target": "/bin"}]  # hides its program
        apply("ns_container", **{**BASE, "mounts": more})
    assert run(NAME, "cat", "/run/deep/thing/within")["stdout"] == "content"
    # What the container itself made there is its own.
    apply("ns_container", **BASE)
    run(NAME, "sh", "-c", "rmdir /run/deep/thing && echo mine > /run/deep/thing")
    with pytest.raises(OptionError) as caught:
        apply("ns_container", **{**BASE, **tree})
    assert str(caught.value).startswith(
        "mounts[0].target: '/run/deep/thing': is a file that was made in this container, and a directory is"
    )
    assert run(NAME, "cat", "/run/deep/thing")["stdout"] == "mine"


def test_what_can_be_covered_and_worked_in_is_not_refused(web: dict[str, Any]) -> None:
    """What is at a mount, or in what the kernel shows, as far as it is there."""
    for cwd in ("/dev/shm/x", "/dev", "/dev/new", "/proc/sys/net", "/proc/1", "/sys/fs/cgroup"):
        apply("ns_container", **{**BASE, "cwd": cwd})
        assert run(NAME, "pwd")["stdout"].strip() == cwd
    mounts = [
        {"source": "/bin/busybox", "target": "/bin/busybox"},
        {"source": "/srv", "target": "/made", "options": ["idmap"]},
        {"type": "tmpfs", "target": "/made/x", "options": ["gid=65535"]},
        {"source": "/etc/hostname", "target": "/dev/made/hostname"},
    ]
    os.makedirs("/srv/x", exist_ok=True)
    try:
        apply("ns_container", **{**BASE, "mounts": mounts, "command": ["sleep", "1000"]})
    finally:
        os.rmdir("/srv/x")


def test_an_image_declares_no_volume_at_a_file(web: dict[str, Any]) -> None:
    apply("oci_image", name="bktest-odd", image="bktest", config={"volumes": ["/bin/busybox"]})
    try:
        resource, params = ContainerResource(), parameters("ns_container", {**BASE, "image": "bktest-odd"})
        with pytest.raises(OptionError, match=r"image: 'bktest-odd': it declares a volume at /bin/busybox, which is a"):
            converge(resource, resource.desired(params))
        assert info(NAME)["pid"] == web["pid"]
    finally:
        apply("oci_image", name="bktest-odd", state="absent")
