# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""tools/test, with a make that only writes results: what is run again, what is told, with which status it ends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

TOOL = Path(__file__).resolve().parents[2] / "tools" / "test"
#: Fails as often as FAILING says, in as many tests as BAD says.
MAKE = """#!/bin/sh
[ "$1" = --no-print-directory ] && shift
echo "$@" >>calls
[ "$1" != "${SLOW-}" ] || sleep 0.6
echo "$1 speaks"
result=$1 bad=0 status=0
for argument; do case $argument in RESULT=*) result=${argument#RESULT=} ;; esac; done
[ "$(grep -c "^$1" calls)" -le "$FAILING" ] && bad=$BAD status=1
mkdir -p build/results
{
    echo "<testsuites><testsuite tests='5' failures='$bad' errors='0' skipped='0'>"
    for number in $(seq "$bad"); do echo "<testcase classname='k' name='t$number'><failure/></testcase>"; done
    echo "</testsuite></testsuites>"
} >build/results/$result.xml
if [ -n "${SKIP_VM-}" ]; then
    rm build/results/*.xml
    [ "$SKIP_VM" = silently ] || echo "$SKIP_VM" >build/results/kernel-skipped.txt
fi
exit $status
"""
LEFT_OUT = [f"--skip={stage}" for stage in ("lint", "unit", "integration", "sanity", "molecule")]


def run(directory: Path, failing: int, bad: int, left_out: list[str] | None = None) -> tuple[int, list[str], list[str]]:
    """Status, make's calls, and the lines that the tool ended with."""
    for name, source in (("tools/test", TOOL.read_text()), ("bin/make", MAKE)):
        (directory / name).parent.mkdir()
        (directory / name).write_text(source)
        (directory / name).chmod(0o755)
    path = f"{directory}/bin:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FAILING": str(failing), "BAD": str(bad)}
    command = [sys.executable, str(directory / "tools/test"), *(LEFT_OUT if left_out is None else left_out)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    return done.returncode, (directory / "calls").read_text().splitlines(), lines


def test_what_passes_is_run_once(tmp_path: Path) -> None:
    status, calls, lines = run(tmp_path, failing=0, bad=1)
    assert (status, calls) == (0, ["kernel"])
    assert lines[-1].startswith("all stages passed: 5 passed; left out:")
    assert not [line for line in lines if "look into it" in line]


def test_what_passes_when_run_again_is_good_and_named(tmp_path: Path) -> None:
    status, calls, lines = run(tmp_path, failing=1, bad=2)
    assert status == 0
    assert [call.split()[0] for call in calls] == ["kernel", "kernel"]
    assert "--last-failed" in calls[1]
    assert lines[-1].startswith("all stages passed: 5 passed;")
    assert [line.rpartition(" ")[2] for line in lines if "look into it" in line] == ["k::t1", "k::t2"]


def test_what_fails_again_has_failed(tmp_path: Path) -> None:
    status, calls, lines = run(tmp_path, failing=2, bad=1)
    assert (status, len(calls)) == (1, 2)
    assert lines[-1].startswith("FAILED: 4 passed, 1 failed;")
    assert not [line for line in lines if "look into it" in line]


def test_a_stage_that_may_run_nothing_is_skipped_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKIP_VM", "not run: site: no QEMU")
    status, calls, lines = run(tmp_path, failing=0, bad=0)
    assert (status, calls) == (0, ["kernel"])
    row = next(line for line in lines if line.startswith("kernel skipped"))
    assert row.endswith("s not run: site: no QEMU")
    left_out = "integration, kernel, lint, molecule, sanity, unit, vm-images"
    assert lines[-1] == f"all stages passed: 0 passed; left out: {left_out}"


@pytest.mark.parametrize(("failing", "skip"), [(0, "silently"), (9, "not run: site: no QEMU")])
def test_a_stage_that_fails_or_is_silent_about_it_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, skip: str
) -> None:
    monkeypatch.setenv("SKIP_VM", skip)
    status, _calls, lines = run(tmp_path, failing, bad=0)
    assert status == 1
    assert any(line.startswith("kernel FAILED") for line in lines)


@pytest.mark.parametrize("bad", [0, 4])
def test_a_stage_that_failed_as_a_whole_is_not_run_again(tmp_path: Path, bad: int) -> None:
    status, calls, _lines = run(tmp_path, failing=1, bad=bad)
    assert (status, len(calls)) == (1, 1)


def test_an_unknown_stage_is_named(tmp_path: Path) -> None:
    shutil.copytree(TOOL.parent, tmp_path / "tools")
    done = subprocess.run(
        [sys.executable, tmp_path / "tools/test", "--skip=none"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "there is no stage none\n")


@pytest.mark.parametrize(
    ("skip", "made"), [("", ["integration", "molecule", "vm-images"]), ("no QEMU", ["integration", "molecule"])]
)
def test_images_are_made_beside_unless_there_can_be_no_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skip: str, made: list[str]
) -> None:
    monkeypatch.setenv("SKIP_VM", skip)
    left_out = [argument for argument in LEFT_OUT if not argument.endswith(("integration", "molecule"))]
    _status, calls, lines = run(tmp_path, 0, 0, [*left_out, "--skip=kernel"])
    assert sorted(calls) == made
    assert ("vm-images" in lines[-1]) == bool(skip)


@pytest.mark.parametrize("failing", [0, 1])
def test_a_stage_that_runs_beside_another_is_shown_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    monkeypatch.setenv("SLOW", "integration")
    left_out = [argument for argument in LEFT_OUT if not argument.endswith(("integration", "sanity"))]
    status, calls, lines = run(tmp_path, failing, 1, [*left_out, "--skip=kernel"])
    assert sorted(calls) == ["integration", "sanity"]
    shown = [line for line in lines if "speaks" in line or line.startswith("==")]
    assert shown == ["== integration", "integration speaks", "== sanity", "sanity speaks"]
    assert status == failing
    table = [line.split()[:2] for line in lines if line.split()[:1] in (["integration"], ["sanity"])][-2:]
    word = "FAILED" if failing else "passed"
    assert table == [["integration", word], ["sanity", word]]


def test_a_stage_that_ran_beside_another_has_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW", "sanity")
    left_out = [argument for argument in LEFT_OUT if not argument.endswith(("integration", "sanity"))]
    _status, _calls, lines = run(tmp_path, 0, 0, [*left_out, "--skip=kernel"])
    # When its turn comes there is not much left to wait for, or nothing.
    assert [line for line in lines if re.fullmatch(r"sanity passed [1-9]\d* s beside integration", line)]
