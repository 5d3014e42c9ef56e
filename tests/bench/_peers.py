# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who pulls: ours and its peers, each with a store of its own that can be emptied."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
STORE = "/var/lib/barekernel/images"
_BASE = "ansible_collections.barekernel.containers.plugins.module_utils"
_OURS = """
import sys
sys.path[:0] = [{collections!r}]
from {base}._image.from_registry import Registry
from {base}._image.access import Access
from {base}._plan.image import Desired
from {base}._resource.converge import converge
from {base}._resource.image import ImageResource
source = Registry({reference!r}, access=Access(tls_verify=False))
converge(ImageResource(), Desired({name!r}, source=source))
"""


class Failed(RuntimeError):
    """A command's words."""


def run(*command: str) -> None:
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        raise Failed(f"{' '.join(command[:4])}: {done.stderr.decode()[-2000:]}")


class Peer:
    """``work`` is a directory of its own on the file system that all share."""

    name = ""
    needs: tuple[str, ...] = ()

    def __init__(self, work: Path) -> None:
        self.work = work

    def missing(self) -> str:
        """Why it cannot take part; empty when it can."""
        absent = [program for program in self.needs if shutil.which(program) is None]
        return f"not installed: {', '.join(absent)} (tests/bench/packages.txt)" if absent else ""

    def pull(self, reference: str) -> None:
        raise NotImplementedError

    def clear(self) -> None:
        """Empty the store."""
        raise NotImplementedError

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """What has to run before it can pull."""
        yield

    def processor_seconds(self) -> float:
        """User and system time of every process that has worked for it and ended."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime


class Ours(Peer):
    """A whole Python process: the resource's check of the registry, the pull, syncfs and the second look."""

    name = "ours"
    needs = ("skopeo",)

    def pull(self, reference: str) -> None:
        collections = str(CHECKOUT / ".cache/collections")
        name = "docker.io/library/" + reference.rpartition("/")[2]
        run(sys.executable, "-c", _OURS.format(collections=collections, reference=reference, name=name, base=_BASE))

    def clear(self) -> None:
        shutil.rmtree(STORE, ignore_errors=True)


class Podman(Peer):
    name = "podman"
    needs = ("podman",)

    def _podman(self, *command: str) -> None:
        options = ["--root", f"{self.work}/store", "--runroot", "/run/bench-podman", "--storage-driver", "overlay"]
        run("podman", *options, "--events-backend", "file", "--cgroup-manager", "cgroupfs", *command)

    def pull(self, reference: str) -> None:
        self._podman("pull", "-q", "--tls-verify=false", reference)

    def clear(self) -> None:
        self._podman("rmi", "-af")

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        try:
            yield
        finally:
            subprocess.run(["umount", "-q", f"{self.work}/store/overlay"], check=False)


class Umoci(Peer):
    """skopeo copies into an OCI layout, umoci unpacks all of its layers into one directory."""

    name = "umoci"
    needs = ("skopeo", "umoci")

    def pull(self, reference: str) -> None:
        image = f"{self.work}/layout:{reference.rpartition(':')[2]}"
        run("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{reference}", f"oci:{image}")
        bundle = f"{self.work}/bundle-{reference.rpartition(':')[2]}"
        run("umoci", "--log=error", "unpack", "--image", image, bundle)

    def clear(self) -> None:
        shutil.rmtree(self.work)
        self.work.mkdir()


class Docker(Peer):
    """The daemon has to run before it can pull; its processor time is that of dockerd and what it started."""

    name = "docker"
    needs = ("docker", "dockerd", "containerd")
    _daemon: subprocess.Popen[bytes]

    def _docker(self, *command: str) -> None:
        run("docker", "-H", f"unix://{self.work}/socket", *command)

    def pull(self, reference: str) -> None:
        self._docker("pull", "-q", reference)

    def clear(self) -> None:
        self._docker("image", "prune", "-af")

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Raises Failed with the end of its log where it does not start."""
        command = ["dockerd", "--data-root", f"{self.work}/store", "--exec-root", "/run/bench-docker"]
        command += ["-H", f"unix://{self.work}/socket", "-p", "/run/bench-docker.pid", "--storage-driver=overlay2"]
        command += ["--iptables=false", "--ip6tables=false", "--bridge=none", "--insecure-registry=127.0.0.0/8"]
        with open(self.work / "log", "wb") as log:
            self._daemon = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._wait()
            yield
        finally:
            self._daemon.terminate()
            self._daemon.wait()
            subprocess.run(["umount", "-q", f"{self.work}/store/overlay2"], check=False)

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                return self._docker("version")
            except Failed as error:
                if self._daemon.poll() is not None or time.monotonic() > deadline:
                    end = (self.work / "log").read_text(errors="replace").strip().splitlines()[-1:]
                    raise Failed(f"dockerd did not start: {' '.join(end) or error}") from None
            time.sleep(0.2)

    def processor_seconds(self) -> float:
        return super().processor_seconds() + sum(map(_used, _descendants(self._daemon.pid)))


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
            yield from _descendants(int(child))


def _used(pid: int) -> float:
    """By the process and its children that have ended, proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


ALL = (Ours, Podman, Docker, Umoci)
