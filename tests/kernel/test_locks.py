# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks exclude, whoever removes their files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ansible_collections.barekernel.containers.plugins.module_utils._kernel import files, locations


def test_many_at_once_take_turns_and_leave_nothing(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    children = []
    for _child in range(8):
        pid = os.fork()
        if pid == 0:
            try:
                for _turn in range(25):
                    with files.locked("bktest", "bktest-other"):
                        counter.write_text(str(int(counter.read_text()) + 1))
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    assert counter.read_text() == "200"
    assert not Path(locations.LOCKS).exists()


def test_a_directory_is_made_while_another_removes_its_parent(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    made = parent / "made"
    done = threading.Event()

    def remove() -> None:
        while not done.wait(0.0002):
            files.remove_if_empty(str(made))
            files.remove_if_empty(str(parent))

    other = threading.Thread(target=remove)
    other.start()
    try:
        for _turn in range(2000):
            files.make_directory(str(made), 0o700)
    finally:
        done.set()
        other.join()
