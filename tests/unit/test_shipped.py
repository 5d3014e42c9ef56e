# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is installed on hosts is whole and runs there without Ansible."""

from __future__ import annotations

import fcntl
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._boot import host_code, library
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.command import cli

from tests import shipped


@pytest.mark.once
def test_the_list_is_up_to_date() -> None:
    wanted = shipped.texts()
    assert {path: path.read_text() for path in wanted} == wanted, "run tools/shipped"


def test_it_is_installed_whole_and_replaced_when_it_changes(tmp_path: Path) -> None:
    root = str(tmp_path / "lib")
    assert library.installed(root) is None
    library.install(root)
    assert library.installed(root) == library.version()
    (tmp_path / "lib/old").mkdir()
    library.install(root)
    assert sorted(path.name for path in Path(root).iterdir()) == sorted([library.version(), "nsrun", "restore"])
    (tmp_path / "lib/restore").unlink()
    assert library.installed(root) == ""
    library.remove(root)
    assert not Path(root).exists()


def test_a_version_that_a_process_runs_from_stays(tmp_path: Path) -> None:
    root = str(tmp_path)
    library.install(root)
    old = tmp_path / "0123456789abcdef"
    old.mkdir()
    fd = os.open(old, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    library.install(root)
    assert old.is_dir()
    os.close(fd)
    library.install(root)
    assert not old.exists()


def test_a_running_nsrun_holds_its_version(tmp_path: Path) -> None:
    """A supervisor outlives installations: what it has not imported yet must still be there."""
    library.install(str(tmp_path))
    code = f"import sys; sys.path.insert(0, {str(tmp_path / library.version())!r}); "
    code += "from barekernel._runtime.command import cli; cli.hold_library(); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        assert host_code.in_use(str(tmp_path / library.version()))
        holder.communicate()
    assert not host_code.in_use(str(tmp_path / library.version()))


def test_every_command_of_nsrun_exists() -> None:
    """They are imported by name when they are called, which no tool checks."""
    for module, function in cli.COMMANDS.values():
        assert callable(getattr(importlib.import_module(f"{cli.__package__}.{module}"), function))


def test_the_installed_nsrun_runs(tmp_path: Path) -> None:
    library.install(str(tmp_path))
    done = subprocess.run([tmp_path / "nsrun", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("nsrun version")
