# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container's first process does: reap, pass signals on, end as its program ends. With and without a reaper."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container.info import ContainerInfo
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import reaper

from tests.waiting import until

from .test_container import apply, info, run

NAME = "bktest-init"
SLEEP: dict[str, Any] = {"name": NAME, "image": "bktest", "command": ["sleep", "infinity"]}
#: An orphan of the container's that ends; then the states and parents of all processes.
ORPHAN = "(sleep 0.1 &); sleep 0.5; cat /proc/[0-9]*/stat"
BUILD: dict[str, Any] = {
    "directories": [{"path": path} for path in ("/etc", "/srv")],
    "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}],
    "run": ["/bin/busybox --install -s /bin"],
}


@pytest.fixture(scope="module", autouse=True)
def image() -> Iterator[None]:
    apply("oci_image", name="bktest", build=BUILD)
    yield
    apply("oci_image", name="bktest", state="absent")


@pytest.fixture(autouse=True)
def none_stays() -> Iterator[None]:
    yield
    apply("ns_container", name=NAME, state="absent")


def zombies() -> list[str]:
    """The names of those that an orphan of the container's leaves."""
    stats = run(NAME, "sh", "-c", ORPHAN)["stdout"].splitlines()
    return [line.split()[1] for line in stats if line.split()[2] == "Z"]


def seconds_to_stop() -> float:
    begin = time.monotonic()
    apply("ns_container", name=NAME, state="stopped")
    return time.monotonic() - begin


def test_without_one_orphans_stay_and_sigterm_is_not_heard() -> None:
    apply("ns_container", **SLEEP, stop_timeout=3)
    assert zombies() == ["(sleep)"]
    assert seconds_to_stop() >= 3
    assert (info(NAME)["init"], info(NAME)["signal"]) == ("none", "SIGKILL")


@pytest.mark.parametrize("program", ["/usr/bin/catatonit", "/usr/bin/tini-static", "/usr/bin/docker-init"])
def test_it_reaps_and_passes_signals_on(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "PROGRAMS", (program,))
    made = apply("ns_container", **SLEEP, init="reaper", stop_timeout=60).facts["container"]
    assert (made["init"], made["command"]) == ("reaper", ["sleep", "infinity"])
    assert os.stat(f"/proc/{made['pid']}/exe").st_ino == os.stat(program).st_ino
    assert zombies() == []
    assert seconds_to_stop() < 30
    assert (info(NAME)["exit_code"], info(NAME)["status"]) == (128 + 15, "stopped")
    assert ContainerInfo().gather({"name": NAME, "changed_files": True})["containers"][0]["changed_files"] == []


def test_its_end_is_the_programs_and_its_rights_are_no_more() -> None:
    program = ["sh", "-c", "cat /proc/1/status /proc/self/status; touch /dev/init; read line < /srv/end; exit 7"]
    options = {"user": "1000:1000", "read_only": True, "limits": {"pids": "20"}}
    pipe = {"type": "bind", "source": "/run/bktest-end", "target": "/srv"}
    os.makedirs("/run/bktest-end")
    os.mkfifo("/run/bktest-end/end")
    os.chmod("/run/bktest-end/end", 0o666)
    try:
        apply("ns_container", name=NAME, image="bktest", command=program, init="reaper", mounts=[pipe], **options)
        until("it has said all", lambda: any("touch" in line for line in logs()))
        Path("/run/bktest-end/end").write_text("now\n")
        until("it has ended", lambda: info(NAME)["exit_code"] == 7)
    finally:
        shutil.rmtree("/run/bktest-end")
    said = logs()
    for line in ("Uid:\t1000\t1000\t1000\t1000", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"):
        assert said.count(line) == 2, said
    assert [line for line in said if "touch" in line] == ["touch: /dev/init: Read-only file system"]


def logs() -> list[str]:
    return list(info(NAME, lines=200)["logs"])


def test_another_runtime_starts_it_too() -> None:
    """runc; crun refuses hosts that have controllers of both cgroup versions."""
    apply("ns_container", **SLEEP, init=True, runtime="runc", namespaces={"user": "host"}, stop_timeout=60)
    assert run(NAME, "cat", "/proc/1/cmdline")["stdout"].split("\0")[:4] == ["/dev/init", "--", "sleep", "infinity"]
    assert seconds_to_stop() < 30


HOSTILE = {
    "a directory in its place": {"directories": [{"path": "/dev/init/x"}]},
    "a link in its place": {"directories": [{"path": "/dev"}], "links": [{"path": "/dev/init", "target": "/bin/true"}]},
    "/dev somewhere else": {"links": [{"path": "/dev", "target": "/srv"}]},
    "/dev outside": {"directories": [{"path": "/run"}], "links": [{"path": "/dev", "target": "../../../run"}]},
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=list(HOSTILE))
def test_no_image_has_a_say_in_it(content: dict[str, Any]) -> None:
    apply("oci_image", name="bktest-hostile", build={"base": "bktest", **content})
    try:
        made = apply("ns_container", **{**SLEEP, "image": "bktest-hostile"}, init="reaper", stop_timeout=0)
        pid = made.facts["container"]["pid"]
        assert os.stat(f"/proc/{pid}/exe").st_ino == os.stat(reaper.usable()[0]).st_ino
        assert not os.path.exists("/run/init")
    finally:
        apply("ns_container", name=NAME, state="absent")
        apply("oci_image", name="bktest-hostile", state="absent")


def test_the_hosts_program_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container keeps the one that it has; where there is none any more, it runs on and is not stopped for that."""
    other, kept = tmp_path / "catatonit", tmp_path / "tini"
    shutil.copy(reaper.usable()[0], kept)
    monkeypatch.setattr(reaper, "PROGRAMS", (str(other), str(kept)))
    task = {**SLEEP, "init": "reaper", "stop_timeout": 0}
    pid = apply("ns_container", **task).facts["container"]["pid"]
    shutil.copy(kept, other)
    os.replace(shutil.copy(kept, tmp_path / "new"), kept)
    assert apply("ns_container", **task).plan.actions == []
    kept.unlink()
    other.unlink()
    assert apply("ns_container", **task).plan.actions == []
    for changed in ({**task, "state": "restarted"}, {**task, "env": {"A": "1"}}, {**task, "name": "bktest-other"}):
        with pytest.raises(OptionError, match="init: 'reaper': no static catatonit or tini .*: install package catat"):
            apply("ns_container", **changed)
    assert info(NAME)["pid"] == pid
    plan = apply("ns_container", **{**task, "init": "none"}).plan
    assert [(c.option, c.before, c.after, c.how) for c in plan.changes] == [("init", "reaper", "none", "restart")]


def test_a_link_of_the_image_that_would_hide_it() -> None:
    apply("oci_image", name="bktest-link", build={"base": "bktest", "links": [{"path": "/data", "target": "/dev"}]})
    try:
        hides = {"mounts": [{"type": "tmpfs", "target": "/data"}], "init": "reaper", "image": "bktest-link"}
        with pytest.raises(OptionError, match=r"mounts\[0\]\.target: '/data': leads to /dev in the image and hides"):
            apply("ns_container", **{**SLEEP, **hides})
    finally:
        apply("oci_image", name="bktest-link", state="absent")
