# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fresh copy of the checkout on an isolated host, and its two commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
RECAP = re.compile(r"^localhost +: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)


def pytest_configure(config: pytest.Config) -> None:
    if not {"BAREKERNEL_ISOLATED", "BAREKERNEL_OUTSIDE"} <= set(os.environ):
        raise pytest.UsageError("tests/integration makes networks and installs packages: run it as `make integration`")


#: Module -> what stack calls an object of it.
KINDS = {"oci_image": "image", "bridge_network": "network", "netns_veth": "link", "ns_container": "container"}


@dataclass
class Run:
    """What one command said and did."""

    status: int
    output: str
    seconds: float
    #: When each line came, in seconds from the start.
    lines: list[tuple[float, str]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """The recap's count."""
        found = RECAP.search(self.output)
        assert found, self.output
        return int(found.group(2))

    def came(self, start: str, after: float = 0) -> float:
        """When the first line came that begins like that (after that moment)."""
        return next(when for when, line in self.lines if when >= after and line.startswith(start))

    def of(self, module: str, name: str | None = None) -> list[dict[str, Any]]:
        """The results of a module (for the object of that name), or of stack for an object of that kind."""
        found = []
        for record in self.records:
            if record["module"] == module and name in (None, (record["params"] or {}).get("name")):
                found.append(record["result"])
            for key, result in (record["result"].get("objects") or {}).items():
                kind, _slash, named = key.partition("/")
                if kind == KINDS.get(module) and name in (None, named):
                    found.append(result)
        return found

    @property
    def actions(self) -> list[str]:
        """Everything that was done, or would be, in order."""
        return [action for record in self.records for action in record["result"].get("actions", ())]


@dataclass
class Site:
    """The copy. ``variables`` is the file of the default inventory that a user edits."""

    folder: Path

    @property
    def variables(self) -> Path:
        return self.folder / "playbooks/inventory/group_vars/example.yml"

    def edit(self, before: str, after: str) -> None:
        """Change a value in the inventory as a user does."""
        text = self.variables.read_text()
        assert text.count(before) == 1, f"{before!r} is {text.count(before)} times in {self.variables}"
        self.variables.write_text(text.replace(before, after))

    def make(self, target: str, arguments: str = "", expect: int | None = 0) -> Run:
        """make TARGET ARGS=... in the copy, with an environment of its own."""
        record = self.folder / "record.jsonl"
        record.unlink(missing_ok=True)
        environment = {
            "PATH": "/root/.pyenv/shims:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": os.environ.get("HOME", "/root"),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CALLBACKS_ENABLED": "recorder",
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
            "BAREKERNEL_RECORD": str(record),
            # What people export for their other playbooks.
            "ANSIBLE_INVENTORY": "/nowhere",
            "ANSIBLE_CONFIG": "/nowhere",
            "ANSIBLE_COLLECTIONS_PATH": "/nowhere",
            "ANSIBLE_ROLES_PATH": "/nowhere",
            "ANSIBLE_REMOTE_USER": "nobody",
            "ANSIBLE_BECOME": "true",
            "ANSIBLE_BECOME_USER": "nobody",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "PYTHON"},
        }
        started = time.monotonic()
        with subprocess.Popen(
            ["make", target, f"ARGS={arguments}"],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout
            lines = [(time.monotonic() - started, line) for line in process.stdout]
        seconds, output = time.monotonic() - started, "".join(line for _when, line in lines)
        print(f"make {target} ARGS='{arguments}': {seconds:.1f} s\n{output}")
        assert expect is None or process.returncode == expect, output
        records = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return Run(process.returncode, output, seconds, lines, records)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What a clone would hold, in a directory of its own; whatever happens, it is torn down."""
    folder = tmp_path_factory.mktemp("clone") / "containers"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, os.fsdecode(files).split("\0")):
        source, target = CHECKOUT / name, folder / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    copy = Site(folder)
    yield copy
    copy.make("teardown", "-e purge_images=true", expect=None)
