# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Building an image: its limits in time, what it tells, and where its temporary files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.tests.vm import build
from ansible_collections.barekernel.containers.tests.vm.errors import VmError
from ansible_collections.barekernel.containers.tests.vm.recipe import RECIPES

from tests import waiting

pytestmark = pytest.mark.once

RECIPE = RECIPES["debian12"]


def run(script: str, said: list[str]) -> None:
    build._with_progress(["sh", "-c", script], {}, "debian12", said.append)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sleep 600 & echo $! >{pid}; wait", "nothing"),
        ("echo I: downloading; sleep 600 & echo $! >{pid}; exit 0", "I: downloading"),
        ("echo I: downloading; exec >&- 2>&-; echo $$ >{pid}; exec sleep 600", "I: downloading"),
    ],
    ids=["silent", "ended before what it started", "closed its output"],
)
def test_a_build_that_hangs_is_ended_in_time_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    monkeypatch.setattr(build, "LIMIT", 1.0)
    pid = tmp_path / "pid"
    with pytest.raises(VmError, match=f"debian12: mmdebstrap took more than 1 s; the last it said: {told}$"):
        run(script.format(pid=pid), [])
    waiting.until("the end of what it started", lambda: not runs(int(pid.read_text())))


def runs(pid: int) -> bool:
    """False also for a zombie, whose new parent here may be one that waits for nobody."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_steps_are_told_and_a_failure_with_the_last_words() -> None:
    said: list[str] = []
    script = "echo I: a; echo I: skipping b; echo 'I: running /x/hooks/customize.sh directly: /x/hooks/customize.sh t'"
    run(script, said)
    assert said == ["debian12: a", "debian12: running customize.sh"]
    with pytest.raises(VmError, match="debian12: mmdebstrap failed: I: a / E: no space$"):
        run("echo I: a; printf 'E: no space'; exit 1", said)


def test_temporary_files_are_made_where_the_image_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the next build clears those of one that was killed; none is in a finished image."""
    monkeypatch.setenv("BAREKERNEL_VM_CACHE", str(tmp_path))
    places: list[str] = []

    def mmdebstrap(command: list[str], environment: dict[str, str], *_rest: object) -> None:
        places.append(environment["TMPDIR"])
        if len(places) == 2:
            raise VmError("enough")
        Path(command[-2]).touch()

    monkeypatch.setattr(build, "_with_progress", mmdebstrap)
    with pytest.raises(VmError, match="enough"):
        build.ensure(RECIPE, print)
    assert places[0] == places[1]
    assert os.path.dirname(os.path.dirname(places[0])) == str(tmp_path / "making")
    assert os.listdir(tmp_path / "making") == []


def test_whether_an_image_is_cached_asks_nothing_of_a_host_that_never_built_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAREKERNEL_VM_CACHE", str(tmp_path))
    assert not build.is_cached(RECIPE)
    assert os.listdir(tmp_path) == []
    os.makedirs(build.image_directory(RECIPE))
    assert build.is_cached(RECIPE)
    assert not build.is_cached(RECIPES["debian13"])
