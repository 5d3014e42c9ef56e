#!/usr/bin/env python3
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `site.yml` costs the controller, against a play of one ping, for many hosts.

    make bench BENCH=controller       (ARGS='--hosts 1 10 50')

The hosts are namespaces of this machine (tests/kernel/hosts.py), each with a network and two containers, and the
measured run finds nothing to do. CPU time is user and system time of ansible-playbook without what it ran on the hosts.
The last line is the ratio site/ping per host, with the most hosts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests import conftest  # noqa: E402
from tests.bench.stack import make_layout  # noqa: E402
from tests.kernel import hosts as hosts_  # noqa: E402

FORKS = 10
PING = [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}]}]
SITE = [{"import_playbook": "barekernel.containers.site"}]


def declared(host: str, layout: Path) -> dict[str, Any]:
    """One host's part of the inventory. Its containers have names of their own: all hosts share the cgroups."""
    networks = [{"name": "lab0", "addresses": ["10.98.0.1/24"]}]
    containers = [
        {"name": f"{host}-{n}", "image": "bench", "command": ["sleep", "1000000"], "networks": [{"name": "lab0"}]}
        for n in range(2)
    ]
    return {
        "image_list": [{"name": "bench", "archive": {"path": str(layout), "remote_src": True}}],
        "network_list": networks,
        "container_list": [{**each, "stop_timeout": 0} for each in containers],
    }


def run(directory: Path, plays: list[dict[str, Any]]) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of the controller. A task that fails ends the benchmark."""
    (directory / "play.yml").write_text(json.dumps(plays))
    spent = directory / "spent-on-hosts"
    spent.write_text("")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(conftest.COLLECTIONS),
        "ANSIBLE_CONNECTION_PLUGINS": str(CHECKOUT / "tests/kernel/connection"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_FORKS": str(FORKS),
        "APART_CPU": str(spent),
        "APART_LOG": str(directory / "brought"),
    }
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "inventory.json", "play.yml"]
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used - sum(map(float, spent.read_text().split()))


def measure(work: Path, layout: Path, count: int) -> float:
    names = [f"h{number}" for number in range(count)]
    with hosts_.running(work / f"hosts-{count}", *names) as found:
        common = {"ansible_connection": "apart", "ansible_remote_tmp": "/run/ansible"}
        common["ansible_python_interpreter"] = "/usr/bin/python3"
        entries = {
            name: {**common, "apart_pid": str(host.pid), **declared(name, layout)} for name, host in found.items()
        }
        (work / "inventory.json").write_text(json.dumps({"all": {"hosts": entries}}))
        run(work, PING)
        ping = run(work, PING)
        first = run(work, SITE)
        site = run(work, SITE)
        teardown = run(work, [{"import_playbook": "barekernel.containers.teardown"}])
    cells = "".join(f"{wall:>10.1f}{cpu / count:>10.2f}" for wall, cpu in (ping, site, first, teardown))
    print(f"{count:>6}{cells}{site[1] / ping[1]:>8.1f}", flush=True)
    return site[1] / ping[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 10, 50], metavar="N")
    arguments = parser.parse_args()
    if "BAREKERNEL_ISOLATED" not in os.environ:
        command = [CHECKOUT / "tests/isolated", sys.executable, "-m", "tests.bench.controller", *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False, cwd=CHECKOUT).returncode)
    conftest.link_collection()
    titles = "".join(f"{title:>10}{'CPU':>10}" for title in ("ping", "no change", "first run", "teardown"))
    print(f"wall seconds, and CPU seconds of the controller per host; forks: {FORKS}")
    print(f"{'hosts':>6}{titles}{'ratio':>8}")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        work = Path(directory)
        layout = make_layout(work)
        ratio = [measure(work, layout, count) for count in arguments.hosts][-1]
    print(f"\nratio site/ping {ratio:.2f}")


if __name__ == "__main__":
    main()
