# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules that Ansible has packed are found by the next playbook of a run of scenarios, and only by one of the same."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

CALLBACKS = Path(__file__).resolve().parents[2] / "molecule" / "plugins" / "callback"


@pytest.fixture(name="packed")
def the_callback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With plugins of its own."""
    spec = importlib.util.spec_from_file_location("packed", CALLBACKS / "packed.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PLUGINS", str(tmp_path / "plugins"))
    (tmp_path / "plugins" / "modules").mkdir(parents=True)
    (tmp_path / "plugins" / "modules" / "one.py").write_text("1\n")
    return module


def test_the_key_changes_with_each_file_and_with_ansible(
    packed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tmp_path / "plugins" / "modules" / "one.py"
    seen = [packed.key()]
    assert packed.key() == seen[0]
    (tmp_path / "plugins" / "__pycache__").mkdir()
    (tmp_path / "plugins" / "__pycache__" / "one.pyc").touch()
    assert packed.key() == seen[0]
    os.utime(one, (1, 1))
    seen.append(packed.key())
    one.rename(one.with_name("two.py"))
    seen.append(packed.key())
    monkeypatch.setattr(packed, "__version__", "0")
    seen.append(packed.key())
    assert len(set(seen)) == 4


def archives(run: Path) -> dict[str, int]:
    """What is kept of a run of scenarios: {path: inode}."""
    return {str(path.relative_to(run)): path.stat().st_ino for path in run.glob("packed-*/*") if path.is_file()}


def ping(tmp_path: Path, scenario: Path | None) -> None:
    """Run a module in a process of its own, as a playbook of this scenario does."""
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "packed",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
    }
    environment.pop("MOLECULE_EPHEMERAL_DIRECTORY", None)
    if scenario:
        environment["MOLECULE_EPHEMERAL_DIRECTORY"] = str(scenario)
    options = ["-c", "local", "-e", f"ansible_python_interpreter={sys.executable}", "-m", "ping"]
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost", *options]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)


def test_ansible_keeps_what_it_packs_and_finds_it_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    ping(tmp_path, None)
    assert archives(run) == {}
    ping(tmp_path, run / "site")
    kept = archives(run)
    assert any("ping" in path for path in kept)
    ping(tmp_path, run / "reboot")
    assert archives(run) == kept
