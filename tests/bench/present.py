#!/usr/bin/env python3
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`oci_image` with an image that is already there, against `ansible.builtin.ping`: what a task costs that does nothing.

    make bench BENCH=present       (ARGS='--rounds N --tasks N')

Method: a playbook on this machine (connection local) runs each task in a loop of --tasks items, and once with a single
item; the difference, divided, is one task. The tasks take turns in every round, the first round warms up and is not
counted. Time is wall time, CPU time user and system time of all processes, the controller's among them. Medians; the
last line is the ratio of the two.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests import conftest  # noqa: E402
from tests.kernel.layouts import Layout, tar  # noqa: E402

IMAGE = "barekernel.containers.oci_image"
#: The distribution's, as hosts have it.
PYTHON = "/usr/bin/python3"


def tasks(layout: Path) -> dict[str, dict[str, object]]:
    archive = {"path": str(layout)}
    return {
        "ping": {"ansible.builtin.ping": {}},
        "present": {IMAGE: {"name": "present"}},
        "present, from a layout": {IMAGE: {"name": "present", "archive": archive}},
    }


def play(task: dict[str, object], directory: Path) -> None:
    """A playbook with that task, on this machine."""
    path = directory / "play.json"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(conftest.COLLECTIONS)}
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local"]
    command += ["-e", f"ansible_python_interpreter={PYTHON}", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])


def cost(task: dict[str, object], count: int, directory: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a playbook that runs it so often."""
    looped = {**task, "loop": list(range(count)), "register": "done", "failed_when": "done is changed"}
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    play(looped, directory)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, used


def one(task: dict[str, object], count: int, directory: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one task, without the playbook's own."""
    many, single = cost(task, count + 1, directory), cost(task, 1, directory)
    return (many[0] - single[0]) / count, (many[1] - single[1]) / count


def make_image(directory: Path) -> Path:
    """An image of three layers in the store, made from the layout that is returned."""
    layout = Layout(directory / "layout", {"Cmd": ["/bin/true"]})
    for number in range(3):
        layout.add(tar((f"d{number}", None), *((f"d{number}/f{n}", b"x" * 500) for n in range(300))))
    layout.write()
    play({IMAGE: {"name": "present", "archive": {"path": str(layout.path)}}}, directory)
    return layout.path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=10)
    arguments = parser.parse_args()
    if "BAREKERNEL_ISOLATED" not in os.environ:
        command = [CHECKOUT / "tests/isolated", sys.executable, __file__, *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False).returncode)
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/var/lib/barekernel") as work:
        report(measure(Path(work), arguments.rounds, arguments.tasks))


def measure(directory: Path, rounds: int, count: int) -> dict[str, list[tuple[float, float]]]:
    compared = tasks(make_image(directory))
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in compared}
    for number in range(rounds + 1):
        for name, task in compared.items():
            wall, used = one(task, count, directory)
            if number:  # the first round warms up
                costs[name].append((wall, used))
            print(f"round {number} {name}: {wall:.3f} s, {used:.3f} CPU s", flush=True)
    return costs


def report(costs: dict[str, list[tuple[float, float]]]) -> None:
    medians = {name: [statistics.median(column) for column in zip(*found)] for name, found in costs.items()}
    print(f"\n{'one task':24}{'median s':>10}{'CPU s':>8}{'s/ping':>8}{'CPU/ping':>10}")
    for name, (wall, used) in medians.items():
        ratios = f"{wall / medians['ping'][0]:>8.2f}{used / medians['ping'][1]:>10.2f}"
        print(f"{name:24}{wall:>10.3f}{used:>8.3f}{ratios}")
    wall, used = (ours / ping for ours, ping in zip(medians["present"], medians["ping"]))
    print(f"\nratio present/ping {wall:.2f} (CPU time {used:.2f})")


if __name__ == "__main__":
    main()
