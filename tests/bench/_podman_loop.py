# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`containers.podman.podman_container` on a host of its own: a store, networks and settings below one directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from tests import conftest

#: PyPI's package of community collections that brings containers.podman.
PACKAGE = "ansible==12.3.0"
#: Beside what the benchmarks of this checkout cache.
COLLECTIONS = conftest.CHECKOUT / ".cache/bench/collections"
#: Not podman's own, which it has on every host.
SUBNET = "10.99.0.0/20"
#: crun refuses hosts that have controllers of both cgroup versions, so there it is shown one without cgroup2.
_RUNTIME = """#!/bin/sh
exec unshare --mount sh -c 'if mountpoint -q /sys/fs/cgroup/unified; then mount -t tmpfs t /sys/fs/cgroup/unified; fi
exec crun "$@"' sh "$@"
"""
_STORAGE = '[storage]\ndriver = "overlay"\ngraphroot = "{work}/store"\nrunroot = "/run/bench-podman"\n'
_SETTINGS = """[containers]
cgroups = "{cgroups}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[engine.runtimes]
crun = ["{runtime}"]
[network]
network_backend = "netavark"
network_config_dir = "{work}/networks"
"""


def collection() -> None:
    """Have containers.podman in COLLECTIONS. Raises subprocess.CalledProcessError."""
    if (COLLECTIONS / "ansible_collections/containers/podman").is_dir():
        return
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", directory, PACKAGE]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(directory).glob("ansible-*.whl"))) as wheel:
            ours = [n for n in wheel.namelist() if n.startswith("ansible_collections/containers/podman/")]
            wheel.extractall(COLLECTIONS, ours)


class PodmanLoop:
    """The image is that of an OCI layout. ``environment`` is for podman and for a play that uses it."""

    name = "podman"

    def __init__(self, work: Path, layout: Path, limits: bool) -> None:
        self.work, self.layout = work, layout
        runtime = work / "crun"
        self.environment = {
            "CONTAINERS_STORAGE_CONF": str(work / "storage.conf"),
            "CONTAINERS_CONF": str(work / "containers.conf"),
        }
        (work / "networks").mkdir(parents=True)
        runtime.write_text(_RUNTIME)
        runtime.chmod(0o755)
        (work / "storage.conf").write_text(_STORAGE.format(work=work))
        settings = _SETTINGS.format(work=work, runtime=runtime, cgroups="enabled" if limits else "disabled")
        (work / "containers.conf").write_text(settings)

    @staticmethod
    def missing() -> str:
        """Why it cannot take part; empty when it can."""
        absent = [program for program in ("podman", "crun") if shutil.which(program) is None]
        if absent:
            return f"not installed: {', '.join(absent)} (tests/bench/packages.txt)"
        there = (COLLECTIONS / "ansible_collections/containers/podman").is_dir()
        return "" if there else f"no collection containers.podman: {PACKAGE} could not be had"

    def prepare(self) -> None:
        """Its image and its network."""
        self._podman("pull", "-q", f"oci:{self.layout}:bench")
        image = self._podman("images", "-q").split()[0]
        self._podman("tag", image, "localhost/bench:1")
        self._podman("network", "create", "--subnet", SUBNET, "bench")

    def close(self) -> None:
        subprocess.run(["umount", "-q", f"{self.work}/store/overlay"], check=False)

    def containers(self, count: int, limit: int | None, state: str = "started") -> list[dict[str, Any]]:
        """The options of so many containers."""
        if state == "absent":
            return [{"name": f"c{n}", "state": "absent"} for n in range(count)]
        return [
            {
                "name": f"c{n}",
                "image": "localhost/bench:1",
                "command": ["sleep", "1000000"],
                "network": ["bench"],
                "publish": [f"{20000 + n}:80"],
                "stop_timeout": 0,
                **({} if limit is None else {"pids_limit": str(limit)}),
            }
            for n in range(count)
        ]

    def task(self, containers: list[dict[str, Any]]) -> dict[str, Any]:
        """One task, in a loop over the containers."""
        names = sorted({name for each in containers for name in each})
        options = {name: f"{{{{ item.{name} }}}}" for name in names}
        return {"containers.podman.podman_container": options, "loop": containers, "loop_control": {"label": ""}}

    def _podman(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(["podman", *command], env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"podman {command[0]}: {done.stderr[-1000:]}")
        return done.stdout
