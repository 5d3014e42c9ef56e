# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller shows while an image is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.action.oci_image import sentence


def play(tmp_path: Path, *options: str, seconds: int = 5, **environment: str) -> str:
    """The output of a play that makes an image, which takes so long, and removes it."""
    copy = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]
    slow = {"name": "slow", "build": {"copy": copy, "run": [f"/bin/busybox sleep {seconds}"]}}
    tasks = [
        {"name": "Make it", "barekernel.containers.oci_image": slow},
        {"name": "Remove it", "barekernel.containers.oci_image": {"name": "slow", "state": "absent"}},
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", playbook, *options]
    interpreter = f"ansible_python_interpreter={sys.executable}"
    done = subprocess.run(
        [*command, "-e", interpreter],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not Path("/run/barekernel/progress").exists()
    return done.stdout


def test_lines_appear_while_it_runs(tmp_path: Path) -> None:
    # Twice as long as it takes at most until a line follows upon another of the same phase (that of step 1).
    output = play(tmp_path, seconds=12)
    line = "[localhost: image slow: building step 2 of 2: run /bin/busybox sleep 12]"
    assert line in output
    assert output.index(line) < output.index("changed: [localhost]")


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        ((), {"ANSIBLE_STDOUT_CALLBACK": "minimal"}),
        ((), {"ANSIBLE_DISPLAY_OK_HOSTS": "no"}),
        (("-e", "barekernel_progress=false"), {}),
        (("--check",), {}),
    ],
)
def test_quiet_where_asked(tmp_path: Path, options: tuple[str, ...], environment: dict[str, str]) -> None:
    assert "image slow: building" not in play(tmp_path, *options, **environment)


def test_sentences() -> None:
    assert sentence({"phase": "unpacking", "done": 50 << 20, "total": 110 << 20}) == "unpacking 45% (50 of 110 MB)"
    assert sentence({"phase": "building", "text": "I: \x1b[31mred"}) == "building I: ?[31mred"
