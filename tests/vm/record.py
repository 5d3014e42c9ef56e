# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written down about a run and its machines, in the run's directory outside the checkout.

runs/RUN/run.json               the segment that joins the machines
runs/RUN/NAME/instance.json     one machine; beside it disk, control socket, serial log, keys
runs/RUN/logs/NAME/             what is kept of a machine that is gone
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import random
from collections.abc import Iterator
from typing import Any

from . import guest, ports, ssh, store
from .command_line import Machine
from .machine import Running

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A machine as the inventory asks for it."""

    name: str
    number: int
    image: str = "debian12"
    memory: int = 1024
    #: With a second one an emulated machine works a third slower, and most work is one thread's.
    cpus: int = 1
    hybrid: bool = False

    @property
    def identity(self) -> guest.Identity:
        return guest.Identity(self.name, self.number)


@dataclasses.dataclass(frozen=True)
class Instance:
    """A machine as it was started. ``ready`` once it has its own identity."""

    wanted: Wanted
    machine: Machine
    running: Running
    image: str
    ready: bool = False

    def variables(self, directory: str) -> dict[str, Any]:
        """Ansible's connection variables, and the guest's addresses on the segment."""
        options = ssh.options(os.path.join(directory, "known_hosts"), self.wanted.name)
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.machine.ssh_port,
            "ansible_user": "root",
            "ansible_connection": "ssh",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": store.login_key(),
            "ansible_ssh_common_args": " ".join(options),
            "vm_address4": self.wanted.identity.address4,
            "vm_address6": self.wanted.identity.address6,
            "vm_mac": self.wanted.identity.mac,
        }


def run_directory(checkout: str = CHECKOUT) -> str:
    """One per checkout: two checkouts, or two users, never share machines."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(checkout))).hexdigest()[:12]
    return os.path.join(store.root(), "runs", name)


def segment(run: str) -> str:
    """The run's multicast segment, chosen when its first machine is made."""
    path = os.path.join(run, "run.json")
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError), open(path, encoding="utf-8") as stream:
        return str(json.load(stream)["segment"])
    chosen = ports.segment(random.SystemRandom())
    _write(path, {"segment": chosen, "checkout": CHECKOUT})
    return chosen


def has_checkout(run: str) -> bool:
    """Whether the checkout is still there whose run's directory this is."""
    try:
        with open(os.path.join(run, "run.json"), encoding="utf-8") as stream:
            return os.path.isdir(json.load(stream)["checkout"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write(directory: str, instance: Instance) -> None:
    """Record a machine in its directory, at once and whole."""
    _write(os.path.join(directory, "instance.json"), dataclasses.asdict(instance))


def _write(path: str, value: Any) -> None:
    with open(path + ".new", "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1)
    os.rename(path + ".new", path)


def read(directory: str) -> Instance | None:
    """The machine recorded in a directory; None when there is none or its record is unreadable."""
    try:
        with open(os.path.join(directory, "instance.json"), encoding="utf-8") as stream:
            raw = json.load(stream)
        running = Running(raw["running"]["pid"], raw["running"]["started"], tuple(raw["running"]["argv"]))
        return Instance(Wanted(**raw["wanted"]), Machine(**raw["machine"]), running, raw["image"], raw["ready"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def living() -> Iterator[Instance]:
    """Every machine of every run that is alive."""
    runs = os.path.join(store.root(), "runs")
    for run in os.listdir(runs) if os.path.isdir(runs) else []:
        for name in names(os.path.join(runs, run)):
            found = read(os.path.join(runs, run, name))
            if found and found.running.alive():
                yield found


def names(run: str) -> list[str]:
    """Names of the machines that have a directory in this run."""
    try:
        found = os.listdir(run)
    except FileNotFoundError:
        return []
    return sorted(name for name in found if name != "logs" and os.path.isdir(os.path.join(run, name)))
