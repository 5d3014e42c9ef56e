# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container that runs is committed: paused for that and never longer, and the same files are the same image."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers.tarwriter import TarWriter

from tests.kernel import images
from tests.kernel.images import apply, checked
from tests.kernel.test_container import apply as apply_module
from tests.kernel.test_container import info, run
from tests.kernels import in_child
from tests.waiting import until

NAME = "bktest-busy"
HOME = Path("/var/lib/barekernel/containers", NAME)
#: It never stops writing, nor making files and removing them.
BUSY = "i=0; while :; do i=$((i+1)); echo $i > /count; mkdir -p /d; touch /d/$i; rm -r /d; done"


@pytest.fixture(autouse=True)
def busy() -> Iterator[None]:
    tree = {"copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}], "run": ["/bin/busybox --install -s /bin"]}
    apply(name="bkbusy", build={"directories": [{"path": "/tmp"}], **tree})
    apply_module("ns_container", name=NAME, image="bkbusy", command=["sh", "-c", BUSY], stop_timeout=0)
    yield
    apply_module("ns_container", name=NAME, state="absent")
    images.remove_all()


def cgroup() -> Path:
    return Path(json.loads((HOME / "launch.json").read_text())["cgroup"])


def frozen() -> tuple[str, str]:
    """What was asked of the kernel, and whether it is so."""
    events = dict(line.split() for line in (cgroup() / "cgroup.events").read_text().splitlines())
    return (cgroup() / "cgroup.freeze").read_text().strip(), events["frozen"]


def wait_until_it_moves() -> None:
    count = HOME / "upper/count"
    until("it writes", count.exists, frozen)
    before = count.stat().st_mtime_ns
    until("it writes on", lambda: count.stat().st_mtime_ns != before, frozen)


def watched(monkeypatch: pytest.MonkeyPatch, then: Any = lambda: None) -> list[tuple[str, str]]:
    """What ``frozen`` says each time a tree is read; ``then`` is called in the middle of it."""
    seen: list[tuple[str, str]] = []
    write_tree = TarWriter.write_tree

    def watch(writer: TarWriter, path: str) -> Any:
        seen.append(frozen())
        then()
        return write_tree(writer, path)

    monkeypatch.setattr(TarWriter, "write_tree", watch)
    return seen


def test_it_is_paused_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = info(NAME)["pid"]
    seen = watched(monkeypatch)
    checked(name="committed", container=NAME)
    assert frozen()[0] == "0"
    apply(name="committed", container=NAME)
    assert len(seen) >= 3 and set(seen) == {("1", "1")}
    assert frozen()[0] == "0" and info(NAME)["pid"] == pid
    wait_until_it_moves()
    # Each commit is of another moment.
    again = apply(name="committed", container=NAME)
    assert [change.option for change in again.plan.changes] != []


def test_it_goes_on_when_reading_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(5, "broken")

    watched(monkeypatch, fail)
    with pytest.raises(OSError, match="broken"):
        apply(name="committed", container=NAME)
    assert frozen()[0] == "0"
    wait_until_it_moves()


def test_it_goes_on_when_the_commit_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert in_child(lambda: apply(name="committed", container=NAME)) == -signal.SIGKILL
    until("it goes on", lambda: frozen()[0] == "0", frozen)
    wait_until_it_moves()


def test_one_that_is_paused_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    (cgroup() / "cgroup.freeze").write_text("1")
    try:
        apply(name="committed", container=NAME)
        assert frozen()[0] == "1"
        # Now that nothing moves, nothing is left to do.
        assert apply(name="committed", container=NAME).plan.actions == []
    finally:
        (cgroup() / "cgroup.freeze").write_text("0")


def test_the_same_files_are_the_same_image() -> None:
    """Of another container, copied in another order, from another directory."""
    run(
        NAME,
        "sh",
        "-c",
        "mkdir /many; for i in 3 1 2; do echo $i > /many/$i; ln /many/$i /many/again$i; done; rm /bin/vi",
    )
    apply_module("ns_container", name=NAME, image="bkbusy", command=["sh", "-c", BUSY], state="stopped", stop_timeout=0)
    first = apply(name="first", container=NAME).facts["image"]
    other = HOME.parent / "bktest-copy"
    other.mkdir()
    try:
        shutil.copy(HOME / "container.json", other)
        shutil.copytree(HOME / "bundle", other / "bundle")
        (other / "upper").mkdir()
        names = sorted(os.listdir(HOME / "upper"), reverse=True)
        subprocess.run(["cp", "-a", *names, other / "upper"], cwd=HOME / "upper", check=True)
        shutil.copystat(HOME / "upper", other / "upper")
        second = apply(name="second", container="bktest-copy").facts["image"]
        assert second["digest"] == first["digest"]
        Path(other, "upper/many/1").write_text("changed")
        assert apply(name="second", container="bktest-copy").facts["image"]["digest"] != first["digest"]
    finally:
        shutil.rmtree(other)
