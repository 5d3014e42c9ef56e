# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run Molecule's scenarios: say first what will happen, have no machine left at the end, say what each took."""

from __future__ import annotations

import dataclasses
import glob
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence

from . import instances, prerequisites, record, store
from .errors import VmError
from .recipe import RECIPES
from .store import Say

#: What each scenario proves, and its minutes here: two cores under emulation, images and snapshots in the cache.
SCENARIOS = {
    "default": ("machines of their own that reach each other and nothing else; bad luck survived", 1),
    "primitives": ("each primitive module on real cgroup v2: what the kernel then does", 3),
    "seed": ("one pull for two hosts: beta runs what alpha has pulled from a registry", 4),
    "site": ("site.yml on two hosts: predicted, applied, seen from outside, changed live, removed", 8),
    "reboot": ("what was declared is back after a reboot and after a power cut", 8),
    "platforms": ("the site on Debian 13, and on a host without cgroup v2 controllers", 5),
}

#: Minutes for an image and a snapshot that are not in the cache.
IMAGE_MINUTES = 2


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One scenario: passed or not, and how long it took."""

    name: str
    passed: bool
    seconds: float


def forecast(names: Sequence[str], cached_images: int) -> str:
    """The sentence before anything starts."""
    minutes = sum(SCENARIOS[name][1] for name in names)
    minutes += IMAGE_MINUTES * max(0, len(RECIPES) - cached_images)
    what = ", ".join(f"{name} ({SCENARIOS[name][0]})" for name in names)
    images = "" if cached_images >= len(RECIPES) else ", building their images first"
    return f"Boots real machines in QEMU{images} and runs {what}: about {minutes} minutes on two cores without KVM."


#: The scenarios that failed in the last run, a line each; none where all passed.
FAILED = os.path.join(record.CHECKOUT, "build", "results", "molecule-failed.txt")


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
    say(forecast(names, len(store.listed("images"))))
    try:
        prerequisites.ensure(say)
    except VmError as error:
        say(f"NOT RUN: {', '.join(names)} in real machines: {error}")
        if not skip_allowed:
            say("(SKIP_VM=1 leaves this part out without failing)")
        return 0 if skip_allowed else 1
    run_name = os.path.basename(record.run_directory())
    with store.lock(f"test-{run_name}", say, "another run tests this checkout; waiting for it"):
        outcomes = _all(names, say)
    remember(one.name for one in outcomes if not one.passed)
    for one in outcomes:
        say(f"{one.name:<12} {'passed' if one.passed else 'FAILED'} {one.seconds:5.0f} s  {SCENARIOS[one.name][0]}")
    return 0 if all(one.passed for one in outcomes) else 1


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
            passed = _molecule(name, ephemeral)
            outcomes.append(Outcome(name, passed, time.monotonic() - started))
            if not passed and not keep:
                _forget(ephemeral, say, label=name)
    finally:
        if not keep:
            _forget(ephemeral, say)
    return outcomes


def _molecule(name: str, ephemeral: str) -> bool:
    environment = {
        **os.environ,
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
        done = subprocess.run(command, cwd=record.CHECKOUT, env=environment, check=False)
        return done.returncode == 0 and bool(_results(name))
    except FileNotFoundError as error:
        raise VmError(f"molecule is not on PATH: {error}") from error


def _results(name: str) -> list[str]:
    """What the verifier wrote (see molecule/conftest.py): nothing where no test was run, which is no success."""
    return glob.glob(os.path.join(record.CHECKOUT, "build", "results", f"molecule-{name}-*.xml"))


def _forget(ephemeral: str, say: Say, label: str = "") -> None:
    """End the machines, and with them what Molecule knows about them."""
    instances.absent(say, label=label)
    shutil.rmtree(ephemeral, ignore_errors=True)
