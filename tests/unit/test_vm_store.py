# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache: nothing half-made is ever taken for good, whoever was interrupted, and nothing of it stays."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.tests.vm import __main__, machine, process, prune, record, store
from ansible_collections.barekernel.containers.tests.vm.command_line import Machine
from ansible_collections.barekernel.containers.tests.vm.errors import VmError
from ansible_collections.barekernel.containers.tests.vm.record import Instance, Wanted

from tests import waiting

pytestmark = pytest.mark.once

CHECKOUT = Path(__file__).resolve().parents[2]

MAKER = """
import sys, time
from tests.vm import store
with store.making(sys.argv[1]) as directory:
    open(directory + "/half", "w").close()
    print(directory, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("BAREKERNEL_VM_CACHE", str(tmp_path))
    return tmp_path


def test_what_is_made_appears_whole(cache: Path) -> None:
    final = cache / "images" / "key"
    with store.making(str(final)) as directory:
        Path(directory, "disk").write_text("x")
        assert not final.exists()
    assert (final / "disk").read_text() == "x"
    assert os.listdir(cache / "making") == []


def test_an_error_leaves_nothing(cache: Path) -> None:
    with pytest.raises(ZeroDivisionError), store.making(str(cache / "images" / "key")):
        raise ZeroDivisionError
    assert os.listdir(cache / "making") == [] and os.listdir(cache / "images") == []


def test_a_full_disk_is_a_sentence(cache: Path) -> None:
    with pytest.raises(VmError, match="No space left.*needs about 3 GB"), store.making(str(cache / "images" / "key")):
        raise OSError(28, "No space left on device")


def test_the_size_is_blamed_only_where_space_ran_out(cache: Path) -> None:
    with pytest.raises(VmError, match="quota.*needs about 3 GB"), store.making(str(cache / "images" / "key")):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(VmError, match="No such file") as raised, store.making(str(cache / "images" / "key")) as where:
        os.rmdir(where)
    assert "3 GB" not in str(raised.value)


def test_a_lock_is_waited_for_and_says_so(cache: Path) -> None:
    said: list[str] = []
    order: list[str] = []

    def second() -> None:
        with store.lock("one", said.append, "waiting"):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.lock("one", said.append, "waiting"):
        thread.start()
        waiting.until("a word", lambda: said)
        order.append("first")
    thread.join(waiting.PATIENCE)
    assert (said, order) == (["waiting"], ["first", "second"])


def test_clean_leaves_a_build_in_progress_and_what_it_lies_on_alone(cache: Path) -> None:
    """A snapshot that outlived its image would be resumed on another one that has the same key."""
    for path in ("images/one", "snapshots/two", "making/interrupted"):
        (cache / path).mkdir(parents=True)
    with store.making(str(cache / "images" / "key")) as directory:
        with pytest.raises(VmError, match=f"is being made in {directory}: wait until it is ready"):
            __main__.clean([])
        assert os.path.isdir(directory)
    assert (os.listdir(cache / "making"), sorted(os.listdir(cache / "images"))) == ([], ["key", "one"])
    __main__.clean([])
    assert not (cache / "images").exists() and not (cache / "snapshots").exists()


def test_a_killed_maker_is_cleared_and_a_living_one_is_not(cache: Path) -> None:
    command = [sys.executable, "-c", MAKER, str(cache / "images" / "one")]
    makers = [subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        killed, living = (maker.stdout.readline().strip() for maker in makers)
        makers[0].send_signal(signal.SIGKILL)
        makers[0].wait()
        with store.making(str(cache / "images" / "two")):
            assert not os.path.exists(killed)
            assert os.path.exists(living)
    finally:
        for maker in makers:
            maker.kill()
            maker.wait()
            maker.stdout.close()
    assert os.listdir(cache / "images") == ["two"]


def test_a_record_survives_writing_and_reading(cache: Path) -> None:
    described = Machine("alpha", "tcg", 1024, 2, "disk.qcow2", "/k", "/i", 2201, "52:54:00:aa:00:01", "239.192.0.1:5")
    running = machine.Running(4711, 99, ("qemu-system-x86_64", "-S"))
    instance = Instance(Wanted("alpha", 1, hybrid=True), described, running, "/images/key", ready=True)
    record.write(str(cache), instance)
    assert record.read(str(cache)) == instance


@pytest.mark.parametrize("content", ["", "{", "[]", '{"wanted": {}}'])
def test_an_unreadable_record_is_no_record(cache: Path, content: str) -> None:
    (cache / "instance.json").write_text(content)
    assert record.read(str(cache)) is None
    assert record.read(str(cache / "nowhere")) is None


def test_a_run_keeps_its_segment(cache: Path) -> None:
    first = record.segment(str(cache))
    assert record.segment(str(cache)) == first
    (cache / "run.json").unlink()
    assert record.segment(str(cache)) != first


def aged(path: Path, hours: float, image: str = "") -> Path:
    """An image, a snapshot or what a run has left, last used that long ago."""
    path.mkdir(parents=True, exist_ok=True)
    if image:
        (path / "image").write_text(image)
    then = time.time() - hours * 3600
    os.utime(path, (then, then))
    return path


def test_only_what_is_old_and_beyond_the_newest_is_removed(cache: Path, monkeypatch) -> None:
    monkeypatch.setattr(prune, "KEPT", {"images": 1, "snapshots": 2})
    newest = aged(cache / "images" / "newest", 30)
    recent = aged(cache / "images" / "recent", 40)
    old = aged(cache / "images" / "old", 50)
    on_newest = aged(cache / "snapshots" / "a", 30, "newest")
    on_old = aged(cache / "snapshots" / "b", 31, "old")
    prune.used([str(recent)])
    assert set(prune.prune(print)) == {str(newest), str(old), str(on_newest), str(on_old)}
    assert (os.listdir(cache / "images"), os.listdir(cache / "snapshots")) == (["recent"], [])


def test_what_runs_have_left_goes_with_their_checkout(cache: Path) -> None:
    for name, checkout in (("here", CHECKOUT), ("gone", cache / "gone"), ("lately", cache / "gone")):
        for kind in ("runs", "molecule"):
            (cache / kind / name).mkdir(parents=True)
        (cache / "runs" / name / "run.json").write_text(
            json.dumps({"segment": "239.192.0.1:5", "checkout": str(checkout)})
        )
    gone = [aged(cache / "runs" / "gone", 25), aged(cache / "molecule" / "gone", 25)]
    gone.append(aged(cache / "molecule" / "killed", 25))
    aged(cache / "runs" / "here", 25)
    said: list[str] = []
    assert set(prune.prune(said.append)) == {str(path) for path in gone}
    assert said == [f"removed 3 old images, snapshots and runs from {cache}"]
    assert (sorted(os.listdir(cache / "runs")), sorted(os.listdir(cache / "molecule"))) == (["here", "lately"],) * 2


def test_nothing_is_removed_while_a_machine_runs(cache: Path, monkeypatch) -> None:
    monkeypatch.setattr(prune, "KEPT", {"images": 0, "snapshots": 0})
    aged(cache / "images" / "old", 50)
    home = cache / "runs" / "one" / "alpha"
    home.mkdir(parents=True)
    command = ["qemu-system-x86_64", "-c", "import time; print(flush=True); time.sleep(600)"]
    sleeper = subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE)
    sleeper.stdout.readline()  # its command line can be read only a moment after its start
    described = Machine("alpha", "tcg", 1024, 1, "disk.qcow2", "/k", "/i", 2201, "52:54:00:aa:00:01", "239.192.0.1:5")
    running = machine.Running(sleeper.pid, process.started_at(sleeper.pid), tuple(command))
    record.write(str(home), Instance(Wanted("alpha", 1), described, running, "/images/key", ready=True))
    try:
        assert prune.prune(print) == []
    finally:
        sleeper.kill()
        sleeper.communicate()
    assert prune.prune(print) == [str(cache / "images" / "old")]
