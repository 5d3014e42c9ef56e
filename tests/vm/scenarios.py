# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run Molecule's scenarios: say first what will happen, have no machine left at the end, say what each took."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from . import build, instances, prerequisites, process, record, store
from .errors import VmError
from .recipe import RECIPES, Recipe
from .store import Say


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What a scenario proves, its minutes here (two cores under emulation, all in the cache), the images it boots."""

    proves: str
    minutes: int
    images: tuple[str, ...] = ("debian12",)


SCENARIOS = {
    "default": Scenario("machines of their own that reach each other and nothing else; bad luck survived", 2),
    "primitives": Scenario("each primitive module on real cgroup v2: what the kernel then does", 5),
    "seed": Scenario("one pull for two hosts: beta runs what alpha has pulled from a registry", 4),
    "site": Scenario("site.yml on two hosts: predicted, applied, seen from outside, changed live, removed", 11),
    "reboot": Scenario("what was declared is back after a reboot and after a power cut", 9),
    "platforms": Scenario(
        "the site on Debian 13, and on a host without cgroup v2 controllers", 7, ("debian12", "debian13")
    ),
}

#: Minutes for an image and a snapshot that are not in the cache.
IMAGE_MINUTES = 3


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One scenario: passed or not, and how long it took."""

    name: str
    passed: bool
    seconds: float


def forecast(names: Sequence[str], cached: Callable[[Recipe], bool] = build.is_cached) -> str:
    """The sentence before anything starts."""
    images = sorted({image for name in names for image in SCENARIOS[name].images})
    lacking = [image for image in images if not cached(RECIPES[image])]
    minutes = sum(SCENARIOS[name].minutes for name in names) + IMAGE_MINUTES * len(lacking)
    what = ", ".join(f"{name} ({SCENARIOS[name].proves})" for name in names)
    first = f", building images first ({', '.join(lacking)})" if lacking else ""
    return f"Boots real machines in QEMU{first} and runs {what}: about {minutes} minutes on two cores without KVM."


RESULTS = os.path.join(record.CHECKOUT, "build", "results")

#: The scenarios that failed in the last run, a line each; none where all passed.
FAILED = os.path.join(RESULTS, "molecule-failed.txt")
#: Why nothing was run, where that was said to be all right: tools/test then does not miss the results.
SKIPPED = os.path.join(RESULTS, "molecule-skipped.txt")


def chosen(wanted: str) -> list[str]:
    """The scenarios to run, in order: those named, all, or with "failed" those that failed in the last run.

    Raises VmError for a name that is none.
    """
    names = wanted.split() or list(SCENARIOS)
    if names == ["failed"]:
        names = failed_last()
        if not names:
            raise VmError("no scenario failed in the last run")
    for name in names:
        if name not in SCENARIOS:
            raise VmError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return [name for name in SCENARIOS if name in names]


def machines(wanted: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of the machines for these scenarios; the inventory has a group for each. Raises VmError."""
    return list(dict.fromkeys(name for scenario in chosen(wanted) for name in groups[scenario]))


def failed_last() -> list[str]:
    """What FAILED says."""
    try:
        with open(FAILED, encoding="utf-8") as stream:
            return stream.read().split()
    except FileNotFoundError:
        return []


def remember(names: Iterable[str]) -> None:
    """Write FAILED."""
    os.makedirs(os.path.dirname(FAILED), exist_ok=True)
    with open(FAILED, "w", encoding="utf-8") as stream:
        stream.writelines(f"{name}\n" for name in names)


def run(scenario: str, skip_allowed: bool, say: Say) -> int:
    """Exit status: 0 when every scenario passed, or when there is no QEMU and that was said to be all right."""
    names = chosen(scenario)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SKIPPED)
    say(forecast(names))
    try:
        prerequisites.ensure(say)
    except VmError as error:
        return _not_run(f"{', '.join(names)} in real machines: {error}", skip_allowed, say)
    run_name = os.path.basename(record.run_directory())
    with store.lock(f"test-{run_name}", say, "another run tests this checkout; waiting for it"):
        outcomes = _all(names, say)
    remember(one.name for one in outcomes if not one.passed)
    for one in outcomes:
        told = f"{'passed' if one.passed else 'FAILED'} {one.seconds:5.0f} s  {SCENARIOS[one.name].proves}"
        say(f"{one.name:<12} {told}")
    return 0 if all(one.passed for one in outcomes) else 1


def _not_run(what: str, skip_allowed: bool, say: Say) -> int:
    """The exit status where there can be no machines."""
    say(f"NOT RUN: {what}")
    if not skip_allowed:
        say("(SKIP_VM=1 leaves this part out without failing)")
        return 1
    os.makedirs(RESULTS, exist_ok=True)
    with open(SKIPPED, "w", encoding="utf-8") as stream:
        stream.write(f"not run: {what}\n")
    return 0


def _all(names: Sequence[str], say: Say) -> list[Outcome]:
    """One Molecule run for each scenario, on the same machines; after a failure the next scenario gets new ones."""
    ephemeral = os.path.join(store.root(), "molecule", os.path.basename(record.run_directory()))
    keep = bool(os.environ.get("KEEP_VM"))
    outcomes: list[Outcome] = []
    if not keep:
        _forget(ephemeral, say)  # what a run that was killed believes to exist
    try:
        for name in names:
            started = time.monotonic()
            passed = _molecule(name, ephemeral, names)
            outcomes.append(Outcome(name, passed, time.monotonic() - started))
            if not passed and not keep:
                _forget(ephemeral, say, label=name)
    finally:
        if not keep:
            _forget(ephemeral, say)
    return outcomes


def _molecule(name: str, ephemeral: str, names: Sequence[str]) -> bool:
    """One scenario of those that this run is about, whose machines the first of them boots. True if it passed."""
    environment = {
        **os.environ,
        "SCENARIO": " ".join(names),
        "MOLECULE_EPHEMERAL_DIRECTORY": ephemeral,
        "MOLECULE_COMMAND_BORDERS": "false",
        "PYTHONUNBUFFERED": "1",
        # A test that finds no machine fails instead of being skipped.
        "PYTEST_ADDOPTS": "-o empty_parameter_set_mark=fail_at_collect",
    }
    # Without it Molecule looks for the file in a git repository, and has no machines where there is none.
    base = os.path.join(record.CHECKOUT, ".config", "molecule", "config.yml")
    command = ["molecule", f"--base-config={base}", "test", "--scenario-name", name, "--destroy=never"]
    for old in _results(name):
        os.unlink(old)
    try:
        return process.run_group(command, record.CHECKOUT, environment) == 0 and bool(_results(name))
    except FileNotFoundError as error:
        raise VmError(f"molecule is not on PATH: {error}") from error


def _results(name: str) -> list[str]:
    """What the verifier wrote (see molecule/conftest.py): nothing where no test was run, which is no success."""
    return glob.glob(os.path.join(RESULTS, f"molecule-{name}-*.xml"))


def _forget(ephemeral: str, say: Say, label: str = "") -> None:
    """End the machines, and with them what Molecule knows about them."""
    instances.absent(say, label=label)
    shutil.rmtree(ephemeral, ignore_errors=True)
