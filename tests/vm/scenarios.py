# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run Molecule's scenarios: say first what will happen, have no machine left at the end, say what each took."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence

from . import build, instances, prerequisites, record, store
from .errors import VmError
from .molecule_run import Run
from .recipe import RECIPES, Recipe
from .store import Say


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What a scenario proves, its minutes here (two cores under emulation, all in the cache), what it boots.

    The inventory has a group of the same name with the same machines.
    """

    proves: str
    minutes: int
    machines: tuple[str, ...] = ("alpha", "beta")
    images: tuple[str, ...] = ("debian12",)
    #: It leaves what it has declared to those that come after it, and to TEARDOWN in the end.
    leaves: bool = False
    #: One that leaves a CPU idle and has other machines, as have all that follow it: this one starts together with it.
    beside: str = ""
    #: How much longer those then take.
    minutes_beside: int = 0


#: Removes what the scenarios before it have left.
TEARDOWN = "teardown"

SCENARIOS = {
    "default": Scenario("machines of their own that reach each other and nothing else; bad luck survived", 2),
    "primitives": Scenario("each primitive module on real cgroup v2: what the kernel then does", 5, ("alpha",)),
    "site": Scenario(
        "site.yml on two hosts with one pull: predicted, applied, seen from outside, changed live", 11, leaves=True
    ),
    "reboot": Scenario("what was declared is back after a reboot and after a power cut", 6, leaves=True),
    TEARDOWN: Scenario("all that was declared is removed without a trace", 3),
    "platforms": Scenario(
        "the site on Debian 13, and on a host without cgroup v2 controllers",
        7,
        ("gamma", "delta"),
        ("debian12", "debian13"),
        beside="primitives",
        minutes_beside=5,
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
    front = _front(names)
    taken = [SCENARIOS[name].minutes if name in front else SCENARIOS[name].minutes_beside for name in names]
    minutes = sum(taken) + IMAGE_MINUTES * len(lacking)
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

    Those that leave something come with TEARDOWN, and that with the last of them.

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
    leaving = [name for name in SCENARIOS if SCENARIOS[name].leaves]
    if set(leaving) & set(names):
        names.append(TEARDOWN)
    elif TEARDOWN in names:
        names.append(leaving[-1])
    return [name for name in SCENARIOS if name in names]


def machines(wanted: str) -> list[str]:
    """Names of the machines for these scenarios (see chosen). Raises VmError."""
    return list(dict.fromkeys(name for scenario in chosen(wanted) for name in SCENARIOS[scenario].machines))


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
        started = time.monotonic()
        outcomes = _all(names, say)
    remember(one.name for one in outcomes if not one.passed)
    for one in outcomes:
        told = f"{'passed' if one.passed else 'FAILED'} {one.seconds:5.0f} s  {SCENARIOS[one.name].proves}"
        say(f"{one.name:<12} {told}")
    say(f"all of them: {time.monotonic() - started:.0f} s")
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
    keep = bool(os.environ.get("KEEP_VM"))
    outcomes: list[Outcome] = []
    runs: dict[str, Run] = {}
    front = _front(names)
    if not keep:
        _forget_all(say)  # what a run that was killed believes to exist
    try:
        for name in names:
            for other in _beside(name, names):
                runs[other] = _beside_others(other, keep, say)
                runs[other].start()
            if name not in runs:
                runs[name] = Run(name, _ephemeral(name), front if runs else names, RESULTS)
                runs[name].start()
            outcomes.append(Outcome(name, *runs[name].finished()))
            if not outcomes[-1].passed and not keep:
                instances.absent(say, SCENARIOS[name].machines, label=name)
                shutil.rmtree(_ephemeral(name), ignore_errors=True)
    finally:
        for run in runs.values():
            run.end()
        if not keep:
            _forget_all(say)
    return outcomes


def _beside(name: str, names: Sequence[str]) -> list[str]:
    """Those that start together with this one. The first scenario has the machines of all to boot, and is alone."""
    return [other for other in names if SCENARIOS[other].beside == name != names[0]]


def _front(names: Sequence[str]) -> list[str]:
    """Those that are started one after the other."""
    beside = {other for name in names for other in _beside(name, names)}
    return [name for name in names if name not in beside]


def _beside_others(name: str, keep: bool, say: Say) -> Run:
    """To be started together with another one, and shown when its turn comes.

    Its machines end with it, unless they are to be kept: each that idles costs the others a tenth of a CPU.
    """
    log = os.path.join(RESULTS, f"molecule-{name}.log")
    os.makedirs(RESULTS, exist_ok=True)
    say(f"{name} runs beside {SCENARIOS[name].beside}; what it says is shown when its turn comes, and now in {log}")

    def end_its_machines() -> None:
        if not keep:
            with contextlib.suppress(VmError), open(log, "a", encoding="utf-8") as end:
                instances.absent(lambda text: print(text, file=end), SCENARIOS[name].machines, label=name)

    return Run(name, _ephemeral(name), [name], RESULTS, log, end_its_machines)


def _ephemeral(name: str = "") -> str:
    """Molecule's own directory, in which it keeps that there are machines: of one that runs beside others its own."""
    everything = os.path.join(store.root(), "molecule", os.path.basename(record.run_directory()))
    return os.path.join(everything, name if SCENARIOS[name].beside else "front") if name else everything


def _forget_all(say: Say) -> None:
    """End this checkout's machines, and with them what Molecule knows about them."""
    instances.absent(say)
    shutil.rmtree(_ephemeral(), ignore_errors=True)
