# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Molecule's scenarios without machines: which are run on which machines, what is said before and after."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible_collections.barekernel.containers.tests.vm import __main__, instances, prerequisites, process, scenarios
from ansible_collections.barekernel.containers.tests.vm.errors import VmError

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
    assert scenarios.chosen("site default") == ["default", "site"]
    with pytest.raises(VmError, match="there is no scenario 'none'"):
        scenarios.chosen("none")


def test_those_that_failed_can_be_run_again() -> None:
    with pytest.raises(VmError, match="no scenario failed in the last run"):
        scenarios.chosen("failed")
    scenarios.remember(["site", "default"])
    assert scenarios.chosen("failed") == ["default", "site"]
    scenarios.remember([])
    with pytest.raises(VmError, match="no scenario failed in the last run"):
        scenarios.chosen("failed")


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
    assert scenarios.machines(wanted, GROUPS) == machines


def test_each_scenario_has_a_group_and_boots_the_images_that_it_says() -> None:
    for name, scenario in scenarios.SCENARIOS.items():
        assert (CHECKOUT / "molecule" / name / "molecule.yml").is_file()
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


def no_qemu(_say: Callable[[str], None]) -> None:
    raise VmError("could not install qemu-system-x86: no candidate")


def test_where_qemu_can_not_be_installed_what_was_not_run_is_said(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "ensure", no_qemu)
    assert scenarios.run("site default", skip_allowed=False, say=said.append) == 1
    assert said[-2:] == [
        "NOT RUN: default, site in real machines: could not install qemu-system-x86: no candidate",
        "(SKIP_VM=1 leaves this part out without failing)",
    ]
    assert not os.path.exists(scenarios.SKIPPED)


def test_it_passes_only_because_it_was_told_so_and_leaves_the_reason(
    said: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prerequisites, "ensure", no_qemu)
    monkeypatch.setenv("SCENARIO", "site")
    assert __main__.test([]) == 1
    monkeypatch.setenv("SKIP_VM", "1")
    assert __main__.test([]) == 0
    reason = "site in real machines: could not install qemu-system-x86: no candidate"
    assert capsys.readouterr().err.endswith(f"NOT RUN: {reason}\n")
    assert Path(scenarios.SKIPPED).read_text() == f"not run: {reason}\n"
    monkeypatch.setattr(prerequisites, "ensure", lambda _say: None)
    monkeypatch.setattr(scenarios, "_all", lambda *_: [scenarios.Outcome("site", True, 1.0)])
    assert scenarios.run("site", skip_allowed=True, say=said.append) == 0
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


def test_molecule_is_told_the_names_also_of_those_that_failed(
    said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What failed is kept and said where; its machines are not used for the next one."""
    calls: list[tuple[str, str]] = []
    ended: list[str] = []

    def molecule(command: list[str], _cwd: str, environment: dict[str, str]) -> int:
        name = command[command.index("--scenario-name") + 1]
        calls.append((name, environment["SCENARIO"]))
        os.makedirs(scenarios.RESULTS, exist_ok=True)
        Path(scenarios.RESULTS, f"molecule-{name}-tests.xml").touch()
        return int(name == "site")

    def absent(_say: object, only: object = (), label: str = "") -> bool:
        ended.append(label)
        return True

    monkeypatch.setattr(prerequisites, "ensure", lambda _say: None)
    monkeypatch.setattr(instances, "absent", absent)
    monkeypatch.setattr(process, "run_group", molecule)
    scenarios.remember(["platforms", "site"])
    assert scenarios.run("failed", skip_allowed=False, say=said.append) == 1
    assert calls == [("site", "site platforms"), ("platforms", "site platforms")]
    assert ended == ["", "site", ""]
    assert scenarios.failed_last() == ["site"]
    assert [line.split()[:2] for line in said[-2:]] == [["site", "FAILED"], ["platforms", "passed"]]
