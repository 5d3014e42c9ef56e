# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the scenarios' last look at a machine sees of leftovers, whatever they are called."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.once

PROGRAM = Path(__file__).resolve().parents[2] / "molecule" / "state.py"


@pytest.fixture(name="state")
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program with a root of its own for files, and one unit and one template from a package."""
    spec = importlib.util.spec_from_file_location("state", PROGRAM)
    assert spec and spec.loader
    state = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(state)
    (tmp_path / "lib").mkdir()
    for name in ("ssh.service", "getty@.service", "serial-getty@.service", "dev-hugepages.mount"):
        (tmp_path / "lib" / name).touch()
    monkeypatch.setattr(state, "SHIPPED", (str(tmp_path / "lib"),))
    return state


def test_what_is_new_and_what_is_gone_is_counted(state: ModuleType) -> None:
    before = {"links": ["lo", "eth0"], "nft": ["}", "}"], "units": []}
    assert state.differences(before, before) == {}
    now = {"links": ["lo", "probe0"], "nft": ["}", "}", "}"], "units": []}
    assert state.differences(before, now) == {
        "links": {"new": ["probe0"], "gone": ["eth0"]},
        "nft": {"new": ["}"], "gone": []},
    }


def test_units_of_any_name_links_and_where_they_lead_are_seen(state: ModuleType, tmp_path: Path) -> None:
    """An overlay's mount unit has no name of ours, and neither has the link that starts it at boot."""
    units = tmp_path / "systemd"
    (units / "local-fs.target.wants").mkdir(parents=True)
    (units / "srv-merged.mount").touch()
    (units / "local-fs.target.wants" / "srv-merged.mount").symlink_to("../srv-merged.mount")
    assert sorted(state.tree(str(units))) == [
        str(units),
        f"{units}/local-fs.target.wants",
        f"{units}/local-fs.target.wants/srv-merged.mount -> ../srv-merged.mount",
        f"{units}/srv-merged.mount",
    ]
    assert state.tree(str(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    ("cgroup", "passes"),
    [
        ("/lab/db", False),
        ("/unified/lab", False),
        ("/barekernel.slice/barekernel-web.service/container", False),
        ("/system.slice", False),
        ("/system.slice/srv-merged.mount", False),
        ("/system.slice/barekernel_networks.service", False),
        ("/", False),
        ("/system.slice/ssh.service", True),
        ("/dev-hugepages.mount", True),
        ("/system.slice/system-getty.slice/getty@tty1.service", True),
        ("/system.slice/system-serial\\x2dgetty.slice", True),
        ("/user.slice/user-0.slice/session-1.scope", True),
        ("/init.scope", True),
    ],
)
def test_which_control_groups_say_nothing(state: ModuleType, cgroup: str, passes: bool) -> None:
    assert state.passes(cgroup) is passes


def test_it_compares_with_what_was_kept(
    state: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = tmp_path / "ours"
    seen = {"links": ["lo"]}
    monkeypatch.setattr(state, "KEPT", str(tmp_path / "kept.json"))
    monkeypatch.setattr(state, "OURS", (str(ours),))
    monkeypatch.setattr(state, "DECLARED", str(tmp_path / "nothing"))
    monkeypatch.setattr(state, "state", lambda: seen)
    for word in ("keep", "compare"):
        monkeypatch.setattr("sys.argv", ["-", word])
        state.main()
    assert json.loads(capsys.readouterr().out) == {"differences": {}, "ours": []}
    ours.mkdir()
    seen["links"] = ["lo", "probe0"]
    monkeypatch.setattr(state, "DECLARED", str(tmp_path / "*.service"))
    (tmp_path / "web.service").touch()
    for word in ("keep", "compare"):  # not kept anew where a container is declared
        monkeypatch.setattr("sys.argv", ["-", word])
        state.main()
    assert json.loads(capsys.readouterr().out) == {
        "differences": {"links": {"new": ["probe0"], "gone": []}},
        "ours": [str(ours)],
    }


def test_this_host_can_be_looked_at(state: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "run", lambda *command: "[]")
    monkeypatch.setattr(state, "TREES", {"units": (), "files": ()})
    seen = state.state()
    assert any(line.startswith("/proc ") for line in seen["mounts"])
    assert any(line.startswith("net/ipv4/ip_forward = ") for line in seen["sysctls"])
