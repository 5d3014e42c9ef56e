# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes away by force what a failed test left, so that the next one finds the host as it should be.

On the isolated host, where nothing but the tests lives, and only what was not there before.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from . import leaks
from .leaks import Snapshot

_ROUNDS = 3


def clear(before: Snapshot) -> None:
    """As far as that is possible: what was destroyed does not come back."""
    for _round in range(_ROUNDS):  # who is killed may have been making something
        _end(before)
        for kind, remove in (("mount", _unmount), ("link", _unlink), ("nft", _delete_table), ("sysctl", _set_back)):
            for name in _new(before, kind):
                remove(name, before)
        for name in sorted(_new(before, "cgroup"), reverse=True):
            _remove_cgroup(name)
        for name in sorted(_new(before, "file"), reverse=True):
            _remove(name)
        if not leaks.take().names - before.names:
            return


def _new(before: Snapshot, kind: str) -> list[str]:
    """What is there of a kind and was not, without the kind; the last mounted first."""
    found = [name for name in leaks.take().names - before.names if name.startswith(kind + " ")]
    return sorted((name[len(kind) + 1 :] for name in found), reverse=True)


def _end(before: Snapshot) -> None:
    """Kill what was not running, and what starts in its place."""
    deadline = time.monotonic() + 5
    while (strangers := list(_strangers(before))) and time.monotonic() < deadline:
        for pid in strangers:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(0.01)


def _strangers(before: Snapshot) -> Iterator[int]:
    return (pid for pid, command in leaks.processes() if f"process {command}" not in before.names)


def _unmount(name: str, _before: Snapshot) -> None:
    subprocess.run(["umount", "--lazy", name.partition(" ")[0]], check=False, stderr=subprocess.DEVNULL)


def _unlink(name: str, _before: Snapshot) -> None:
    link = name.partition("@")[0]
    subprocess.run(["ip", "link", "delete", link], check=False, stderr=subprocess.DEVNULL)  # its peer is gone with it


def _delete_table(name: str, _before: Snapshot) -> None:
    subprocess.run(["nft", "delete", *name.removesuffix(" {").split()], check=False, stderr=subprocess.DEVNULL)


def _set_back(name: str, before: Snapshot) -> None:
    parameter = name.partition("=")[0]
    was = next((n for n in before.names if n.startswith(f"sysctl {parameter}=")), "")
    if was:
        Path("/proc/sys", parameter).write_text(was.partition("=")[2])


def _remove_cgroup(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path, "cgroup.freeze").write_text("0")
    deadline = time.monotonic() + 5
    while os.path.isdir(path) and time.monotonic() < deadline:
        try:
            os.rmdir(path)
        except OSError:  # who was killed is still ending
            time.sleep(0.01)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)
