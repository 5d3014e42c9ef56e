# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Molecule's scenarios without machines: which are run on which machines, what is said before and after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
import yaml
from ansible_collections.barekernel.containers.tests.vm import __main__, instances, prerequisites, process, scenarios
from ansible_collections.barekernel.containers.tests.vm.errors import VmError

from tests.waiting import until

pytestmark = pytest.mark.once

CHECKOUT = Path(__file__).resolve().parents[2]
INVENTORY = yaml.safe_load((CHECKOUT / "molecule/inventory/hosts.yml").read_text())["all"]["children"]
GROUPS = {name: list(group["hosts"]) for name, group in INVENTORY.items()}
MACHINES = {name: values["vm"] for name, values in INVENTORY["vms"]["hosts"].items()}


@pytest.fixture(autouse=True)
def results_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAREKERNEL_VM_CACHE", str(tmp_path / "cache"))
    for name in ("SCENARIO", "SKIP_VM", "KEEP_VM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(scenarios, "RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(scenarios, "FAILED", str(tmp_path / "results" / "molecule-failed.txt"))
    monkeypatch.setattr(scenarios, "SKIPPED", str(tmp_path / "results" / "molecule-skipped.txt"))


@pytest.fixture(name="said")
def sentences() -> list[str]:
    return []


def test_scenarios_are_chosen_by_name_and_run_in_their_order() -> None:
    assert scenarios.chosen("") == list(scenarios.SCENARIOS)
    assert scenarios.chosen("primitives default") == ["default", "primitives"]
    with pytest.raises(VmError, match="there is no scenario 'none'"):
        scenarios.chosen("none")


def test_those_that_failed_can_be_run_again() -> None:
    with pytest.raises(VmError, match="no scenario failed in the last run"):
        scenarios.chosen("failed")
    scenarios.remember(["primitives", "default"])
    assert scenarios.chosen("failed") == ["default", "primitives"]
    scenarios.remember([])
    with pytest.raises(VmError, match="no scenario failed in the last run"):
        scenarios.chosen("failed")


@pytest.mark.parametrize("wanted", ["site", "reboot", "default site reboot", "teardown"])
def test_what_scenarios_leave_is_removed_and_what_is_removed_was_left(wanted: str) -> None:
    names = scenarios.chosen(wanted)
    assert names[-1] == "teardown"
    assert names[:-1] == (["reboot"] if wanted == "teardown" else wanted.split())


@pytest.mark.parametrize(
    ("wanted", "machines"),
    [
        ("", ["alpha", "beta", "gamma", "delta"]),
        ("primitives", ["alpha"]),
        ("platforms primitives", ["alpha", "gamma", "delta"]),
        ("failed", ["gamma", "delta"]),
    ],
)
def test_the_machines_of_scenarios_are_those_of_their_groups(wanted: str, machines: list[str]) -> None:
    scenarios.remember(["platforms"])
    assert scenarios.machines(wanted) == machines


def test_each_scenario_has_a_group_and_boots_the_machines_and_images_that_it_says() -> None:
    for name, scenario in scenarios.SCENARIOS.items():
        assert (CHECKOUT / "molecule" / name / "molecule.yml").is_file()
        assert GROUPS[name] == list(scenario.machines)
        assert sorted({MACHINES[one]["image"] for one in GROUPS[name]}) == sorted(scenario.images)


def test_the_forecast_counts_the_images_that_these_scenarios_need_and_that_are_not_cached() -> None:
    platforms, primitives = (scenarios.SCENARIOS[name].minutes for name in ("platforms", "primitives"))
    building = scenarios.IMAGE_MINUTES
    cached = scenarios.forecast(["platforms"], lambda recipe: True)
    assert f"about {platforms} minutes" in cached and "building" not in cached
    one = scenarios.forecast(["platforms"], lambda recipe: recipe.name == "debian12")
    assert "building images first (debian13)" in one and f"about {platforms + building} minutes" in one
    other = scenarios.forecast(["primitives"], lambda recipe: False)
    assert "building images first (debian12)" in other and f"about {primitives + building} minutes" in other


def test_what_runs_beside_others_has_other_machines_than_all_that_run_until_its_turn_comes() -> None:
    order = list(scenarios.SCENARIOS)
    pairs = [(name, one.beside) for name, one in scenarios.SCENARIOS.items() if one.beside]
    assert pairs == [("platforms", "primitives")]
    for name, host in pairs:
        for other in order[order.index(host) : order.index(name)]:
            assert not set(GROUPS[other]) & set(GROUPS[name])


def test_the_forecast_counts_what_runs_beside_others_by_what_it_costs_them() -> None:
    minutes = {name: one.minutes for name, one in scenarios.SCENARIOS.items()}
    costs = scenarios.SCENARIOS["platforms"].minutes_beside
    assert f"about {sum(minutes.values()) - minutes['platforms'] + costs} minutes" in scenarios.forecast(
        list(minutes), lambda _: True
    )
    # The first boots the machines of all, and is alone.
    alone = scenarios.forecast(["primitives", "platforms"], lambda _: True)
    assert f"about {minutes['primitives'] + minutes['platforms']} minutes" in alone


def no_qemu(_say: Callable[[str], None]) -> None:
    raise VmError("could not install qemu-system-x86: no candidate")


def test_where_qemu_can_not_be_installed_what_was_not_run_is_said(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "ensure", no_qemu)
    assert scenarios.run("primitives default", skip_allowed=False, say=said.append) == 1
    assert said[-2:] == [
        "NOT RUN: default, primitives in real machines: could not install qemu-system-x86: no candidate",
        "(SKIP_VM=1 leaves this part out without failing)",
    ]
    assert not os.path.exists(scenarios.SKIPPED)


def test_it_passes_only_because_it_was_told_so_and_leaves_the_reason(
    said: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prerequisites, "ensure", no_qemu)
    monkeypatch.setenv("SCENARIO", "primitives")
    assert __main__.test([]) == 1
    monkeypatch.setenv("SKIP_VM", "1")
    assert __main__.test([]) == 0
    reason = "primitives in real machines: could not install qemu-system-x86: no candidate"
    assert capsys.readouterr().err.endswith(f"NOT RUN: {reason}\n")
    assert Path(scenarios.SKIPPED).read_text() == f"not run: {reason}\n"
    monkeypatch.setattr(prerequisites, "ensure", lambda _say: None)
    monkeypatch.setattr(scenarios, "_all", lambda *_: [scenarios.Outcome("primitives", True, 1.0)])
    assert scenarios.run("primitives", skip_allowed=True, say=said.append) == 0
    assert not os.path.exists(scenarios.SKIPPED)


def test_prerequisites_say_why_they_can_not_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(prerequisites.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(prerequisites, "PROGRAMS", {"qemu-of-nobody": "qemu-nobody"})
    with pytest.raises(VmError, match="not installed and no apt-get to install them with: qemu-nobody"):
        prerequisites.ensure(print)
    monkeypatch.setattr(prerequisites.platform, "machine", lambda: "aarch64")
    with pytest.raises(VmError, match="for x86_64; this is aarch64"):
        prerequisites.ensure(print)


class Programs:
    """Stands in for Molecule's process groups: what was started and ended, in order; one scenario can fail."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.events: list[tuple[str, ...]] = []

    def __call__(self, command: list[str], _cwd: str, environment: dict[str, str], output: IO[bytes] | None) -> Program:
        name = command[command.index("--scenario-name") + 1]
        ephemeral = os.path.basename(environment["MOLECULE_EPHEMERAL_DIRECTORY"])
        self.events.append(("starts", name, environment["SCENARIO"], ephemeral))
        if output:
            output.write(f"{name} speaks\n".encode())
        return Program(self, name)

    def absent(self, say: Callable[[str], None], only: object = (), label: str = "") -> bool:
        assert not only or only == scenarios.SCENARIOS[label].machines
        self.events.append(("forgotten", label))
        if label == "platforms":
            say("its logs are kept")
        return True


class Program:
    def __init__(self, all_of_them: Programs, name: str) -> None:
        self.programs, self.name = all_of_them, name

    def wait(self) -> int:
        os.makedirs(scenarios.RESULTS, exist_ok=True)
        Path(scenarios.RESULTS, f"molecule-{self.name}-tests.xml").touch()
        return int(self.name == self.programs.failing)

    def end(self) -> None:
        """It has ended."""


@pytest.fixture(name="programs")
def programs_instead_of_molecule(monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs = Programs()
    monkeypatch.setattr(prerequisites, "ensure", lambda _say: None)
    monkeypatch.setattr(instances, "absent", programs.absent)
    monkeypatch.setattr(process, "Group", programs)
    return programs


def test_molecule_is_told_the_names_also_of_those_that_failed(programs: Programs, said: list[str]) -> None:
    """What failed is kept and said where; its machines are not used for the next one."""
    programs.failing = "site"
    scenarios.remember(["reboot", "site"])
    assert scenarios.run("failed", skip_allowed=False, say=said.append) == 1
    assert programs.events == [
        ("forgotten", ""),
        ("starts", "site", "site reboot teardown", "front"),
        ("forgotten", "site"),
        ("starts", "reboot", "site reboot teardown", "front"),
        ("starts", "teardown", "site reboot teardown", "front"),
        ("forgotten", ""),
    ]
    assert scenarios.failed_last() == ["site"]
    assert said[-4].split()[:2] == ["site", "FAILED"]
    assert [line.split()[:2] for line in said[-3:-1]] == [["reboot", "passed"], ["teardown", "passed"]]


def test_one_that_runs_beside_others_is_shown_when_its_turn_comes(
    programs: Programs, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert scenarios.run("default primitives site platforms", skip_allowed=False, say=said.append) == 0
    assert [event for event in programs.events if "platforms" not in event] == [
        ("forgotten", ""),
        ("starts", "default", "default primitives site teardown platforms", "front"),
        ("starts", "primitives", "default primitives site teardown", "front"),
        ("starts", "site", "default primitives site teardown", "front"),
        ("starts", "teardown", "default primitives site teardown", "front"),
        ("forgotten", ""),
    ]
    assert [event for event in programs.events if "platforms" in event] == [
        ("starts", "platforms", "platforms", "platforms"),
        ("forgotten", "platforms"),
    ]
    assert capsys.readouterr().out == "platforms speaks\nits logs are kept\n"
    assert any("platforms runs beside primitives; what it says is shown when its turn comes" in one for one in said)
    assert [line.split()[0] for line in said[-6:-1]] == ["default", "primitives", "site", "teardown", "platforms"]


def test_one_that_fails_beside_others_is_looked_at_when_its_turn_comes(programs: Programs, said: list[str]) -> None:
    programs.failing = "platforms"
    assert scenarios.run("", skip_allowed=False, say=said.append) == 1
    assert [event for event in programs.events if event[0] == "forgotten"] == [
        ("forgotten", ""),
        ("forgotten", "platforms"),  # when it has ended
        ("forgotten", "platforms"),  # when its turn has come
        ("forgotten", ""),
    ]
    assert scenarios.failed_last() == ["platforms"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_told_to_end_ends_what_it_runs_in_front_and_beside(tmp_path: Path, number: int) -> None:
    """With what that has started, which may not want to."""
    molecule = tmp_path / "bin" / "molecule"
    molecule.parent.mkdir()
    molecule.write_text(
        """#!/bin/sh
        [ "$4" != default ] || { mkdir -p "$RESULTS"; echo >"$RESULTS/molecule-default-tests.xml"; exit; }
        sh -c 'trap "" TERM INT; echo $$ >"$PIDS/$0"; while :; do sleep 0.1; done' "$4" &
        wait
        """
    )
    molecule.chmod(0o755)
    script = """
import os, signal, sys
from ansible_collections.barekernel.containers.tests.vm import __main__, prerequisites, scenarios
signal.signal(signal.SIGINT, signal.default_int_handler)
scenarios.RESULTS, prerequisites.ensure = os.environ["RESULTS"], lambda _say: None
sys.exit(__main__.test([]))
"""
    environment = {
        **os.environ,
        "PATH": f"{molecule.parent}:{os.environ['PATH']}",
        "PYTHONPATH": ":".join(sys.path),
        "RESULTS": str(tmp_path / "results"),
        "PIDS": str(tmp_path),
    }
    pids = [tmp_path / name for name in ("primitives", "platforms")]
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as run:
        until("both run", lambda: all(pid.exists() and pid.read_text().strip() for pid in pids))
        run.send_signal(number)
        assert run.wait() != 0
    until("they are gone", lambda: not any(Path(f"/proc/{pid.read_text().strip()}").exists() for pid in pids))
