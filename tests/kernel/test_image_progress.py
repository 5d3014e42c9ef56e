# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller shows while an image is made."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.action import oci_image as action
from ansible_collections.barekernel.containers.plugins.action.oci_image import sentence
from ansible_collections.barekernel.containers.plugins.module_utils._image.format.config import host_platform

from tests.kernel.faulty import Faulty
from tests.kernel.layouts import Layout, tar

#: Bytes that come slowly.
SLOW = 8 << 20


def play(tmp_path: Path, *options: str, seconds: int = 5, **environment: str) -> str:
    """The output of a play that makes an image, which takes so long, and removes it."""
    copy = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]
    slow = {"name": "slow", "build": {"copy": copy, "run": [f"/bin/busybox sleep {seconds}"]}}
    return made(tmp_path, slow, *options, **environment)


def made(tmp_path: Path, image: dict[str, Any], *options: str, fails: bool = False, **environment: str) -> str:
    """The output of a play that makes an image and removes it, or fails to."""
    tasks = [
        {"name": "Make it", "barekernel.containers.oci_image": image},
        {"name": "Remove it", "barekernel.containers.oci_image": {"name": image["name"], "state": "absent"}},
    ]
    return run_play(tmp_path, tasks, *options, fails=fails, **environment)


def run_play(
    tmp_path: Path, tasks: list[dict[str, Any]], *options: str, fails: bool = False, **environment: str
) -> str:
    """The output of a play on this host."""
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
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    assert not Path("/run/barekernel/progress").exists()
    return done.stdout + (done.stderr if fails else "")


def test_in_the_background(tmp_path: Path) -> None:
    """A task with ``async`` makes the image, waited for or not; where the controller has to hand over it says no."""
    copy = [{"src": "/bin/busybox", "dest": "/bin/busybox"}]
    module, build = "barekernel.containers.oci_image", {"copy": copy, "run": ["/bin/busybox sleep 2"]}
    archive = {"path": str(tmp_path / "archive.tar"), "remote_src": False}
    (tmp_path / "archive.tar").write_bytes(b"")
    status = {"jid": "{{ begun.ansible_job_id }}"}
    tasks = [
        {module: {"name": "waited", "build": build}, "async": 60, "poll": 1},
        {module: {"name": "begun", "build": build}, "async": 60, "poll": 0, "register": "begun"},
        {
            "ansible.builtin.async_status": status,
            "register": "ended",
            "until": "ended.finished",
            "retries": 30,
            "delay": 1,
        },
        {"ansible.builtin.assert": {"that": ["ended.changed", "ended.image.reference == 'begun:latest'"]}},
        {
            module: {"name": "handed", "archive": archive},
            "async": 60,
            "register": "handed",
            "ignore_errors": True,
        },
        {"ansible.builtin.assert": {"that": ["handed is failed", "'leave async out' in handed.msg"]}},
        {module: {"name": "{{ item }}", "state": "absent"}, "loop": ["waited", "begun"], "async": 60, "poll": 1},
    ]
    output = run_play(tmp_path, tasks)
    assert "changed=4" in output and "failed=0" in output


def test_what_a_build_prints_does_not_steer_the_terminal(tmp_path: Path) -> None:
    """Neither in progress nor in the error: a title, a line that is overwritten, and what clears the screen."""
    say = "printf 'one\\033]0;title\\007\\rtwo\\302\\2332J\\n'"
    copy = [{"src": "/bin/busybox", "dest": "/bin/sh"}]
    image = {"name": "slow", "build": {"copy": copy, "run": [f'/bin/sh -c "{say}; sleep 3; exit 3"']}}
    output = made(tmp_path, image, "-vvv", fails=True, ANSIBLE_NOCOLOR="1")
    assert r"one\x1b]0;title\x07\rtwo\x9b2J" in output
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(output)


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
    assert sentence({"phase": "building", "text": "I: \x1b[31mred"}) == "building I: \\x1b[31mred"


def test_a_download_is_seen_to_move(tmp_path: Path) -> None:
    """One layer that comes slowly: each line is further than the one before, and they are few."""
    layout = Layout(tmp_path / "layout", architecture=host_platform()[0]).add(tar(("big", os.urandom(SLOW))), "")
    layout.write()
    with Faulty(layout) as faulty:
        faulty.faults["/blobs/" + layout.layers[0]["digest"]] = trickle(layout, 20)
        output = made(tmp_path, {"name": "slow", "registry": faulty.source()})
    lines = re.findall(r"\[localhost: image slow: pulling (\d+)% \((\d+) of 8 MB\)\]", output)
    assert 2 <= len(lines) <= 5
    assert [int(share) for share, _amount in lines] == sorted({int(share) for share, _amount in lines})
    assert 0 < int(lines[-1][1]) < 8


def trickle(layout: Layout, seconds: float) -> Callable[[Any], bool]:
    """A registry that needs so long for the first layer."""
    content = (layout.path / "blobs/sha256" / layout.layers[0]["digest"][7:]).read_bytes()
    pieces = 100

    def answer(request: Any) -> bool:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        size = len(content) // pieces + 1
        for start in range(0, len(content) if request.command == "GET" else 0, size):
            request.wfile.write(content[start : start + size])
            time.sleep(seconds / pieces)
        return True

    return answer


def test_lines_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download of ten minutes, looked at every second."""
    told: list[tuple[float, str]] = []
    now = 0.0
    monkeypatch.setattr(action.time, "monotonic", lambda: now)
    monkeypatch.setattr(action, "tell", lambda _title, text: told.append((now, text)))
    watcher = action.Watcher(None, "/x", "app")
    for second in range(600):
        now = float(second)
        watcher._show({"phase": "pulling", "done": second << 20, "total": 600 << 20})
    times = [when for when, _text in told]
    assert len(told) <= 21 and max(b - a for a, b in zip(times, times[1:])) <= 30
    # A quick one is not told every second either, and another phase at once.
    told.clear()
    for second in range(600, 610):
        now = float(second)
        watcher._show({"phase": "unpacking", "done": (second - 600) << 20, "total": 10 << 20})
    assert [text.split()[1] for _when, text in told] == ["0%", "50%"]
