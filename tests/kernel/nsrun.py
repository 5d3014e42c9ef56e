# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bundles with a real busybox, and the real nsrun as a program, for the tests of the runtime."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._boot import library
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import files, locations
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle import defaults

#: What user namespaces of the tests map their IDs 0.. to.
HOST_ID = 100000
BUSYBOX = "/usr/bin/busybox"


class Nsrun:
    """The program, its --root, and what one does with it."""

    def __init__(self, program: str, root: Path) -> None:
        self.program = program
        self.root = root

    def __call__(
        self, *words: str, stdin: bytes = b"", rc: int | None = 0, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it; rc is the exit status that is expected (None: any)."""
        command = [self.program, "--root", str(self.root), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60, env=env)
        text = subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())
        if rc is not None:
            assert text.returncode == rc, f"{words}: {text.returncode}\n{text.stdout}\n{text.stderr}"
        return text

    def detach(self, bundle: Bundle) -> dict[str, Any]:
        """Run the bundle in the background, its output to nowhere; its state."""
        command = [self.program, "--root", str(self.root), "run", "--detach", "--bundle", bundle.write(), bundle.id]
        null = subprocess.DEVNULL
        done = subprocess.run(command, stdin=null, stdout=null, stderr=null, check=False, timeout=60)
        assert done.returncode == 0
        return self.state(bundle.id)

    def state(self, container_id: str) -> dict[str, Any]:
        return dict(json.loads(self("state", container_id).stdout))


class Bundle:
    """A bundle directory whose root file system has busybox and nothing else."""

    def __init__(self, directory: Path, owner: int = 0) -> None:
        self.directory = directory
        self.rootfs = directory / "rootfs"
        (self.rootfs / "bin").mkdir(parents=True)
        shutil.copy(BUSYBOX, self.rootfs / "bin" / "busybox")
        for name in ("sh", "cat", "ls", "sleep", "id", "mount", "umount", "echo", "hostname", "true", "unshare", "ip"):
            (self.rootfs / "bin" / name).symlink_to("busybox")
        (self.rootfs / "tmp").mkdir(mode=0o777)
        self.id = f"t{uuid.uuid4().hex[:10]}"
        self.spec = defaults.default_spec()
        self.spec["root"]["readonly"] = False
        self.spec["linux"]["cgroupsPath"] = f"/bktest-nsrun-{os.getpid()}/{self.id}"
        self.own(owner)

    def own(self, owner: int) -> None:
        for path in (self.rootfs, *self.rootfs.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)

    def sh(self, script: str) -> Bundle:
        """What its process does."""
        self.spec["process"]["args"] = ["/bin/sh", "-c", script]
        return self

    def namespace(self, kind: str, path: str | None = None) -> Bundle:
        """Add a namespace, or replace the entry of that type by one with a path."""
        listed = [n for n in self.spec["linux"]["namespaces"] if n["type"] != kind]
        self.spec["linux"]["namespaces"] = [*listed, {"type": kind, **({"path": path} if path else {})}]
        return self

    def without(self, kind: str) -> Bundle:
        self.spec["linux"]["namespaces"] = [n for n in self.spec["linux"]["namespaces"] if n["type"] != kind]
        return self

    def user_namespace(self) -> Bundle:
        """A new one; the root file system then belongs to its root."""
        self.namespace("user")
        maps = [{"containerID": 0, "hostID": HOST_ID, "size": 65536}]
        self.spec["linux"]["uidMappings"] = self.spec["linux"]["gidMappings"] = maps
        self.own(HOST_ID)
        return self

    def write(self) -> str:
        (self.directory / "config.json").write_text(json.dumps(self.spec))
        return str(self.directory)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """nsrun installed as on a host, by the interpreter that a host would have."""
    base = tmp_path_factory.mktemp("nsrun")
    library.install(str(base))
    return str(base / "nsrun")


def forget_compiled() -> None:
    """Used alone, nsrun keeps what it has compiled."""
    files.remove_tree(locations.CACHE)
    files.remove_if_empty(locations.RUN)


@pytest.fixture
def nsrun(program: str) -> Iterator[Nsrun]:
    """With a --root of its own; whatever a failed test left is deleted."""
    root = Path("/run/nsrun-test")
    runtime = Nsrun(program, root)
    yield runtime
    for name in [p.name for p in root.iterdir()] if root.exists() else []:
        runtime("delete", "--force", name, rc=None)
    shutil.rmtree(root, ignore_errors=True)
    forget_compiled()


@pytest.fixture
def bundle() -> Iterator[Bundle]:
    """A fresh bundle, on the isolated host's /run (tmpfs), where user namespaces can reach it."""
    directory = Path("/run/bundle-test")
    directory.mkdir()
    yield Bundle(directory)
    subprocess.run(["umount", "-R", "-q", str(directory)], check=False)
    shutil.rmtree(directory)


def run(runtime: Nsrun, bundle: Bundle, rc: int = 0) -> str:
    """Run the bundle in the foreground; its standard output."""
    return runtime("run", "--bundle", bundle.write(), bundle.id, rc=rc).stdout
