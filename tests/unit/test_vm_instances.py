# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run's machines with stand-ins for QEMU and SSH: started once, resumed or booted, their journals kept."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.tests.vm import (
    accelerator,
    build,
    guest,
    instances,
    machine,
    prerequisites,
    process,
    prune,
    record,
    snapshot,
    ssh,
)
from ansible_collections.barekernel.containers.tests.vm.errors import VmError
from ansible_collections.barekernel.containers.tests.vm.record import Wanted

from tests import waiting

pytestmark = pytest.mark.once

ALPHA, BETA = Wanted("alpha", 1), Wanted("beta", 2)


class Host:
    """Where machines are processes that sleep; what was done is written down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run = Path(record.run_directory())
        self.done: list[str] = []
        self.said: list[str] = []
        self.started: list[subprocess.Popen[bytes]] = []

    def launch(self, directory: str, described: machine.Described, told) -> machine.Running:
        argv = ["qemu-system-x86_64", "-c", "import time; print(flush=True); time.sleep(600)"]
        child = subprocess.Popen(argv, executable=sys.executable, stdout=subprocess.PIPE, cwd=directory)
        self.started.append(child)
        assert child.stdout is not None
        child.stdout.readline()
        running, chosen = machine.Running(child.pid, process.started_at(child.pid), tuple(argv)), described(2200)
        Path(directory, "serial.log").write_text("it boots\n")
        self.done.append(f"{chosen.name} {'resumes' if chosen.incoming else 'boots'}")
        told(running, chosen)
        return running

    def present(self, *wanted: Wanted) -> bool:
        return instances.present(wanted, self.said.append)[0]


@pytest.fixture(name="host")
def host_with_stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("BAREKERNEL_VM_CACHE", str(tmp_path))
    (tmp_path / "image").mkdir()
    (tmp_path / "frozen").mkdir()
    host = Host(tmp_path)
    monkeypatch.setattr(prerequisites, "ensure", lambda _say: None)
    monkeypatch.setattr(build, "ensure", lambda _recipe, _say: str(tmp_path / "image"))
    monkeypatch.setattr(build, "image_directory", lambda _recipe: str(tmp_path / "image"))
    monkeypatch.setattr(accelerator, "choose", lambda _image, _say: "tcg")
    monkeypatch.setattr(snapshot, "place", lambda *_: str(tmp_path / "frozen"))
    monkeypatch.setattr(prune, "prune", lambda _say: [])
    monkeypatch.setattr(snapshot, "thaw", lambda *_: None)
    monkeypatch.setattr(machine, "overlay", lambda *_: "disk.qcow2")
    monkeypatch.setattr(machine, "launch", host.launch)
    monkeypatch.setattr(machine, "wait_for_login", lambda *_: None)
    monkeypatch.setattr(guest, "introduce", lambda *_: None)
    yield host
    for child in host.started:
        child.kill()
        child.communicate()


def test_what_runs_as_wanted_is_left_alone(host: Host) -> None:
    assert host.present(ALPHA, BETA)
    first = {one.wanted.name: one.running for one in record.living()}
    assert not host.present(ALPHA, BETA)
    assert {one.wanted.name: one.running for one in record.living()} == first
    assert sorted(host.done) == ["alpha resumes", "beta resumes"]


def test_what_ended_or_is_wanted_otherwise_is_started_again(host: Host) -> None:
    host.present(ALPHA, BETA)
    (alpha,) = (one.running.pid for one in record.living() if one.wanted == ALPHA)
    (child,) = (child for child in host.started if child.pid == alpha)
    child.kill()
    child.wait()
    assert host.present(ALPHA, Wanted("beta", 2, hybrid=True))
    assert sorted(host.done[2:]) == ["alpha resumes", "beta resumes"]
    assert len(list(record.living())) == 2


def test_two_runs_at_once_start_each_machine_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits, says so, and finds the machines there."""
    first_is_in = threading.Event()
    go_on = threading.Event()

    def introduce(*_: object) -> None:
        first_is_in.set()
        assert go_on.wait(waiting.PATIENCE)

    monkeypatch.setattr(guest, "introduce", introduce)
    changed: dict[str, bool] = {}
    runs = [threading.Thread(target=lambda name=name: changed.update({name: host.present(ALPHA)})) for name in "ab"]
    runs[0].start()
    assert first_is_in.wait(waiting.PATIENCE)
    runs[1].start()
    waiting.until("a word", lambda: [line for line in host.said if line.startswith("another run is starting")])
    go_on.set()
    for run in runs:
        run.join(waiting.PATIENCE)
    assert changed == {"a": True, "b": False}
    assert host.done == ["alpha resumes"]


def test_a_machine_that_does_not_resume_is_booted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def thaw(*_: object) -> None:
        raise VmError("migration failed")

    monkeypatch.setattr(snapshot, "thaw", thaw)
    assert host.present(ALPHA)
    assert host.done == ["alpha resumes", "alpha boots"]
    assert host.started[0].wait(waiting.PATIENCE) != 0
    assert "alpha: could not resume from a snapshot (migration failed); booting instead" in host.said
    assert [one.machine.incoming for one in record.living()] == [""]


def test_without_a_snapshot_machines_boot(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking it failed: that is said, and tried once and not by each machine."""
    tried: list[object] = []

    def ensure(*hardware: object) -> str:
        tried.append(hardware)
        raise VmError("no login within 300 s")

    (host.root / "frozen").rmdir()
    monkeypatch.setattr(snapshot, "ensure", ensure)
    assert host.present(ALPHA, BETA)
    assert sorted(host.done) == ["alpha boots", "beta boots"]
    assert len(tried) == 1
    assert any("no snapshot of a booted machine could be taken (no login within 300 s)" in line for line in host.said)


def journal(port: int, _options: object, script: str, timeout: float) -> str:
    assert (port, script.split()[0]) == (2200, "journalctl")
    return f"the last words within {timeout:g} s\n"


@pytest.mark.parametrize("label", ["", "site"])
def test_serial_log_and_journal_are_kept_and_their_place_is_said(
    host: Host, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    monkeypatch.setattr(ssh, "run", journal)
    host.present(ALPHA)
    assert instances.absent(host.said.append, label=label)
    logs = Path(f"{host.run}/logs/{label}")
    assert (logs / "alpha" / "journal.txt").read_text() == "the last words within 60 s\n"
    assert (logs / "alpha" / "serial.log").read_text() == "it boots\n"
    assert host.said[-1] == f"serial logs and journals are kept in {host.run}/logs/{label}"
    assert record.names(str(host.run)) == []
    assert list(record.living()) == []


def test_the_logs_of_a_failed_scenario_survive_the_end_of_the_run(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "run", journal)
    for label in ("site", ""):
        host.present(ALPHA)
        instances.absent(host.said.append, label=label)
    kept = sorted(str(path.relative_to(host.run)) for path in host.run.rglob("journal.txt"))
    assert kept == ["logs/alpha/journal.txt", "logs/site/alpha/journal.txt"]


def test_a_machine_that_no_longer_answers_still_leaves_its_serial_log(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> str:
        raise VmError("a command in the guest took more than 60 s")

    monkeypatch.setattr(ssh, "run", silent)
    host.present(ALPHA)
    assert instances.absent(host.said.append)
    assert [path.name for path in (host.run / "logs" / "alpha").iterdir()] == ["serial.log"]


def test_a_create_that_fails_ends_what_it_started(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def introduce(identity: guest.Identity, *_: object) -> None:
        if identity.name == "beta":
            raise VmError("the guest could not be introduced")

    monkeypatch.setattr(guest, "introduce", introduce)
    monkeypatch.setattr(ssh, "run", journal)
    with pytest.raises(VmError, match="could not be introduced"):
        host.present(ALPHA, BETA)
    assert record.names(str(host.run)) == [] and list(record.living()) == []
    assert (host.run / "logs" / "alpha" / "journal.txt").exists()
    assert (host.run / "logs" / "beta" / "serial.log").exists()
    assert host.said[-1] == f"serial logs and journals are kept in {host.run / 'logs'}"
