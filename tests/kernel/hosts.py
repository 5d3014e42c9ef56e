# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several hosts on one kernel: processes whose /var/lib/barekernel, /run and loopback are their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENTER = """
chmod 700 "$0" && mount --bind "$0" /var/lib/barekernel && mount -t tmpfs tmpfs /run && mkdir /run/lock && echo ready &&
exec sleep infinity
"""


@dataclass(frozen=True)
class Host:
    """One of them."""

    name: str
    pid: int

    def path(self, path: str) -> Path:
        """A file of it, seen from here."""
        return Path(f"/proc/{self.pid}/root{path}")

    def left(self) -> list[str]:
        """What lies in its Ansible's temporary directory."""
        return [str(path) for path in self.path("/run/ansible").glob("*")]


@contextlib.contextmanager
def running(directory: Path, *names: str, online: str = "") -> Iterator[dict[str, Host]]:
    """Hosts of these names; only the one that is ``online`` reaches the servers of the test."""
    processes = {}
    try:
        for name in names:
            (directory / name).mkdir(parents=True)
            apart = ["unshare", "--mount", "--propagation=private", *([] if name == online else ["--net"])]
            processes[name] = subprocess.Popen(
                [*apart, "sh", "-c", ENTER, directory / name], stdout=subprocess.PIPE, text=True
            )
        for process in processes.values():
            assert process.stdout and process.stdout.readline() == "ready\n"
        yield {name: Host(name, process.pid) for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


@dataclass(frozen=True)
class Play:
    """What one run of a playbook said and did."""

    status: int
    output: str
    records: list[dict[str, Any]]
    #: "HOST FILE" of each blob or archive that was copied to a host.
    brought: list[str]

    def changed(self) -> list[str]:
        """Hosts that a task has changed, as often as it has."""
        return sorted(record["host"] for record in self.records if record["result"]["changed"])

    def actions(self) -> list[tuple[str, str]]:
        """Each thing that was done, or would be, and on which host."""
        return sorted((record["host"], action) for record in self.records for action in record["result"]["actions"])


def play(
    directory: Path, hosts: dict[str, Host], plays: list[dict[str, Any]], *options: str, **environment: str
) -> Play:
    """ansible-playbook with these hosts as inventory; it leaves nothing on the hosts or on the controller."""
    common = {"ansible_connection": "apart", "ansible_remote_tmp": "/run/ansible"}
    common["ansible_python_interpreter"] = "/usr/bin/python3"
    entries = {name: {**common, "apart_pid": str(host.pid)} for name, host in hosts.items()}
    (directory / "inventory.json").write_text(json.dumps({"all": {"hosts": entries}}))
    (directory / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, **one} for one in plays]))
    record, log, local = directory / "record.jsonl", directory / "brought", directory / "local-tmp"
    record.unlink(missing_ok=True)
    log.write_text("")
    here = Path(__file__).parent
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "inventory.json", "play.yml", *options],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        env={
            **os.environ,
            "ANSIBLE_CONNECTION_PLUGINS": str(here / "connection"),
            "ANSIBLE_CALLBACKS_ENABLED": "recorder",
            "ANSIBLE_CALLBACK_PLUGINS": str(here.parent / "integration/callback"),
            "ANSIBLE_LOCAL_TEMP": str(local),
            "ANSIBLE_PIPELINING": "1",
            "APART_LOG": str(log),
            "BAREKERNEL_RECORD": str(record),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert list(local.glob("*")) == []
    assert [path for host in hosts.values() for path in host.left()] == []
    lines = record.read_text().splitlines() if record.exists() else []
    brought = [line for line in log.read_text().splitlines() if " sha256-" in line]
    return Play(done.returncode, done.stdout + done.stderr, [json.loads(line) for line in lines], sorted(brought))
