#!/usr/bin/env python3
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`stack` with N containers in one task, against a loop of `containers.podman.podman_container` over the same image.

    make bench BENCH=stack       (ARGS='--sizes 1 10 100 500 --podman 20')

Each container has a network, an address, a published port, an overlay as its root and, where the host can, a limit.
Method: each case is one ansible-playbook on this machine (connection local) with one task, less one that runs no task.
The cases are a first run, one that finds nothing to do, one with one container's limit changed, and removal. Time is
wall time, CPU time user and system time of what the playbook waited for (neither our supervisors nor podman's conmon
are in it). podman's loop runs over --podman containers, and what it would take for more is that, multiplied. Then, with
the most containers there are, single tasks, against ping. The last line is the ratio of the first runs, with 100
containers where they were measured, else with the most.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests import conftest  # noqa: E402
from tests.bench import _podman_loop  # noqa: E402
from tests.bench._podman_loop import PodmanLoop  # noqa: E402
from tests.kernel.layouts import Layout, tar  # noqa: E402

#: The distribution's, as hosts have it.
PYTHON = "/usr/bin/python3"
STATE = Path("/var/lib/barekernel")
OURS = "barekernel.containers"
CASES = ("first run", "nothing to do", "one limit", "removal")
_CGROUP2 = ("/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers")


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds."""

    wall: float
    cpu: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)

    def __truediv__(self, by: float) -> Cost:
        return Cost(self.wall / by, self.cpu / by)

    def __str__(self) -> str:
        return f"{self.wall:.2f} s, {self.cpu:.2f} CPU s"


Costs = dict[tuple[str, int, str], Cost]


class Plays:
    """Playbooks on this machine, each with the tasks given; ``empty`` is what one without any costs."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.path = directory / "play.json"
        paths = f"{conftest.COLLECTIONS}:{_podman_loop.COLLECTIONS}"
        self.environment = {**os.environ, **environment, "ANSIBLE_COLLECTIONS_PATH": paths}
        self.empty = Cost(0, 0)
        self.run([])  # warms up
        self.empty = median(self.run([]) for _ in range(3))

    def run(self, tasks: list[dict[str, Any]]) -> Cost:
        """Less what a playbook without tasks costs. A task that fails ends the benchmark."""
        self.path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        command = ["ansible-playbook", "-i", "localhost,", "-c", "local"]
        command += ["-e", f"ansible_python_interpreter={PYTHON}", str(self.path)]
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost(time.monotonic() - started, used) - self.empty

    def one(self, task: dict[str, Any], rounds: int = 4) -> Cost:
        """A task that changes nothing, without the first one of its playbook."""
        looped = {**task, "register": "done", "failed_when": "done is changed or done.failed | default(false)"}
        many, single = (self.run([{**looped, "loop": list(range(count))}]) for count in (rounds + 1, 1))
        return (many - single) / rounds


def median(costs: Iterator[Cost]) -> Cost:
    found = list(costs)
    return Cost(statistics.median(c.wall for c in found), statistics.median(c.cpu for c in found))


def stack(count: int, pids: int = 100, state: str = "present") -> dict[str, Any]:
    """The task; ``pids`` is the limit of the first container."""
    containers = [
        {
            "name": f"c{n}",
            "image": "bench",
            "command": ["sleep", "1000000"],
            "networks": [{"name": "bench0", "ports": [f"{10000 + n}:80"]}],
            "limits": {"pids": pids if n == 0 else 100},
            "stop_timeout": 0,
        }
        for n in range(count)
    ]
    networks = [{"name": "bench0", "addresses": ["10.98.0.1/20"]}]
    declared = {"networks": networks, "containers": containers} if state == "present" else {}
    return {f"{OURS}.stack": {"state": state, **declared}}


def single_tasks() -> dict[str, dict[str, Any]]:
    """Tasks on one container among many."""
    options = stack(1)[f"{OURS}.stack"]["containers"][0]
    return {
        "ping": {"ansible.builtin.ping": {}},
        "ns_container, nothing to do": {f"{OURS}.ns_container": options},
        "ns_container_info": {f"{OURS}.ns_container_info": {"name": "c0"}},
        "ns_container_exec": {
            f"{OURS}.ns_container_exec": {"name": "c0", "argv": ["true"]},
            "changed_when": False,
        },
    }


def make_layout(directory: Path) -> Path:
    """An image with one program: what is measured is not the image."""
    busybox = Path("/bin/busybox").read_bytes()
    layout = Layout(directory / "layout", {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]})
    directories = [(name, None) for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp")]
    links = [(f"bin/{name}", "->busybox") for name in ("sh", "sleep", "true")]
    return layout.add(tar(*directories, ("bin/busybox", busybox, {"mode": 0o755}), *links)).write("bench")


def can_limit() -> bool:
    """Whether this host can limit the number of processes with cgroup v2."""
    found = next((Path(path).read_text() for path in _CGROUP2 if os.path.exists(path)), "")
    return "pids" in found.split()


def measure_ours(plays: Plays, sizes: list[int], costs: Costs) -> None:
    for count in sizes:
        runs = {
            CASES[0]: stack(count),
            CASES[1]: stack(count),
            CASES[2]: stack(count, pids=99),
        }
        for case, task in runs.items():
            note(costs, "ours", count, case, plays.run([task]))
        if count == max(sizes):
            for name, task in single_tasks().items():
                if name == "ns_container, nothing to do":
                    task[f"{OURS}.ns_container"]["limits"] = {"pids": 99}
                note(costs, name, count, "one task", plays.one(task))
        note(costs, "ours", count, CASES[3], plays.run([stack(count, state="absent")]))


def measure_podman(plays: Plays, loop: PodmanLoop, count: int, limits: bool, costs: Costs) -> None:
    limit, changed = (100, 99) if limits else (None, None)
    before = loop.containers(count, limit)
    for case, containers in {
        CASES[0]: before,
        CASES[1]: before,
        CASES[2]: [*loop.containers(1, changed), *before[1:]] if limits else [],
        CASES[3]: loop.containers(count, limit, "absent"),
    }.items():
        if containers:
            note(costs, "podman", count, case, plays.run([loop.task(containers)]))


def note(costs: Costs, who: str, count: int, case: str, cost: Cost) -> None:
    costs[who, count, case] = cost
    print(f"{who}, {count} containers, {case}: {cost}", flush=True)


def report(costs: Costs, empty: Cost, sizes: list[int], podman: int, why: str) -> None:
    print(f"\na playbook without a task: {empty} (taken off everywhere)")
    print(f"\n{'milliseconds a container':28}" + "".join(f"{case:>16}{'CPU':>8}" for case in CASES))
    for who, count in dict.fromkeys((who, count) for who, count, case in costs if case in CASES):
        shown = "".join(cell(costs.get((who, count, case)), count) for case in CASES)
        print(f"{who + f', {count} containers':28}{shown}")
    if why:
        print(f"podman: {why}")
    most = max(sizes)
    ping = costs["ping", most, "one task"]
    print(f"\n{f'one task, {most} containers there':32}{'s':>8}{'CPU s':>8}{'less ping':>12}{'CPU':>8}")
    for who in single_tasks():
        found = costs[who, most, "one task"]
        less = found - ping
        print(f"{who:32}{found.wall:>8.2f}{found.cpu:>8.2f}{less.wall:>12.2f}{less.cpu:>8.2f}")
    for count in sizes:
        shown = ", ".join(f"{case} {costs['ours', count, case].wall / ping.wall:.1f}" for case in CASES[1:3])
        print(f"stack of {count} in pings: {shown}")
    if why:
        return
    size = 100 if 100 in sizes else most
    print(f"\nratios ours/podman-loop of {size} containers; podman's is that of {podman}, multiplied (in CPU time)")
    ratios = {}
    for case in CASES:
        theirs = costs.get(("podman", podman, case))
        if theirs is not None and case != "one limit":
            ours = costs["ours", size, case] / size
            ratios[case] = ours.wall / (theirs.wall / podman)
            print(f"{case:16}{ratios[case]:>8.2f} ({ours.cpu / (theirs.cpu / podman):.2f})")
    print(f"\nratio ours/podman-loop {ratios[CASES[0]]:.2f}")


def cell(cost: Cost | None, count: int) -> str:
    if cost is None:
        return f"{'-':>16}{'-':>8}"
    return f"{cost.wall / count * 1000:>16.0f}{cost.cpu / count * 1000:>8.0f}"


@contextlib.contextmanager
def podman_loop(work: Path, layout: Path, limits: bool) -> Iterator[tuple[PodmanLoop, str]]:
    """The peer made ready, and why it cannot take part."""
    loop = PodmanLoop(work, layout, limits)
    why = loop.missing()
    try:
        if not why:
            loop.prepare()
    except RuntimeError as error:
        why = str(error)
    try:
        yield loop, why
    finally:
        loop.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100], metavar="N")
    parser.add_argument("--podman", type=int, default=20, metavar="N", help="containers of podman's loop; 0: none")
    arguments = parser.parse_args()
    if "BAREKERNEL_ISOLATED" not in os.environ:
        with contextlib.suppress(subprocess.CalledProcessError):  # the table says so
            _podman_loop.collection()
        command = [CHECKOUT / "tests/isolated", sys.executable, "-m", "tests.bench.stack", *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False, cwd=CHECKOUT).returncode)
    limits = can_limit()
    if not limits:
        print("this host cannot limit processes with cgroup v2: podman's have no limit, ours declare one", flush=True)
    costs: Costs = {}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=STATE) as directory:
        work = Path(directory)
        layout = make_layout(work)
        with podman_loop(work / "podman", layout, limits) as (loop, why):
            why = why or ("" if arguments.podman else "left out")
            plays = Plays(work, loop.environment)
            plays.run([{f"{OURS}.oci_image": {"name": "bench", "archive": {"path": str(layout)}}}])
            if not why:
                measure_podman(plays, loop, arguments.podman, limits, costs)
            measure_ours(plays, arguments.sizes, costs)
        report(costs, plays.empty, arguments.sizes, arguments.podman, why)
    shutil.rmtree(STATE / "images", ignore_errors=True)


if __name__ == "__main__":
    main()
