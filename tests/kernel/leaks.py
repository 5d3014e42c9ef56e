# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What exists on the isolated host: everything the collection could leave behind."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import PATIENCE

STATE = Path("/var/lib/barekernel")
RUN = Path("/run")
#: Not ours: what other programs of the host put there.
KEPT = ("/run/lock", "/run/mount")
SYSCTLS = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/all/route_localnet")


@dataclass(frozen=True)
class Snapshot:
    """Names of everything found, each as "kind name"."""

    names: frozenset[str]


def take() -> Snapshot:
    """Read it all."""
    return Snapshot(
        frozenset(
            [*_mounts(), *_links(), *_nft(), *_cgroups(), *_processes(), *_files(STATE), *_files(RUN), *_sysctls()]
        )
    )


def leaked_since(before: Snapshot, kept: str = "") -> list[str]:
    """What is there now and was not, and what was there and is gone; what is just ending gets its time to end.

    What has ``kept`` in its name does not count, nor does the end of a process: one may have been ending before.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        now = take()
        appeared = [f"left behind: {name}" for name in now.names - before.names if not (kept and kept in name)]
        lost = [name for name in before.names - now.names if not name.startswith("process ")]
        vanished = [f"destroyed: {name}" for name in lost]
        if not (appeared or vanished) or time.monotonic() > deadline:
            return sorted(appeared + vanished)
        time.sleep(0.02)


def _mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_bytes().split(b"\n")
    return [f"mount {os.fsdecode(line.split(b' ')[4])} {os.fsdecode(line.split(b' - ')[1])}" for line in lines if line]


def _links() -> list[str]:
    output = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    return ["link " + line.split()[0] for line in output.splitlines()]


def _nft() -> list[str]:
    output = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=False).stdout
    return ["nft " + line for line in output.splitlines() if line.startswith("table")]


def _cgroups() -> list[str]:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    root = [fields[1] for fields in mounts if fields[2] == "cgroup2"][-1]  # the isolated host's own lies on top
    enabled = Path(root, "cgroup.subtree_control").read_text().split()
    return [f"cgroup {d}" for d, _subs, _files in os.walk(root)] + [f"controller {name}" for name in enabled]


def _processes() -> list[str]:
    return [f"process {command}" for _pid, command in processes()]


def processes() -> list[tuple[int, str]]:
    """Every process but the tests' own: its PID and command line."""
    found = [p.name for p in Path("/proc").iterdir() if p.name.isdigit() and not _excused(p)]
    return [(int(pid), _command(pid)) for pid in found]


def _excused(process: Path) -> bool:
    """PID 1, the test runner and its own ancestors; a zombie waits for its parent and is no leak."""
    try:
        pid = int(process.name)
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return pid == 1 or pid in _ancestors() or state == "Z"


def _ancestors() -> set[int]:
    chain, pid = set(), os.getpid()
    while pid > 1:
        chain.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return chain


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return pid


def _files(root: Path) -> list[str]:
    # The directory of what runs goes, when it is empty, with somebody's last lock.
    return [f"file {p}" for p in below(root) if not p.startswith(KEPT) and p != "/run/barekernel"]


def below(root: Path) -> Iterator[str]:
    """Every path below it. Unlike Path.rglob it does not mind a directory that goes meanwhile."""
    for directory, directories, files in os.walk(root):
        yield from (f"{directory}/{name}" for name in (*directories, *files))


def _sysctls() -> list[str]:
    return [f"sysctl {name}={Path('/proc/sys', name).read_text().strip()}" for name in SYSCTLS]
