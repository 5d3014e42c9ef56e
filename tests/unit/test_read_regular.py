# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file by a name under which a container may have put anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers import lookup
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import openat2, process, process_root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_a_file_is_read_as_far_as_one_wants(root: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    assert openat2.read_regular(root, "file", 100) == b"content"
    assert openat2.read_regular(root, "file", 3) == b"con"


def test_a_symlink_is_followed_inside(root: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to("/../file")
    assert openat2.read_regular(root, "link", 100) == b"content"


@pytest.mark.parametrize("kind", ["fifo", "link-to-a-fifo", "directory", "dangling", "loop", "host", "nothing"])
def test_anything_else_is_no_file(root: int, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    targets = {"link-to-a-fifo": "fifo", "dangling": "nowhere", "loop": "place", "host": "/etc/passwd"}
    if kind == "directory":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind in targets:
        os.mkfifo(tmp_path / "fifo")
        place.symlink_to(targets[kind])
    assert openat2.read_regular(root, "place", 100) is None
    assert lookup.read_file([str(tmp_path)], "place") is None


def test_neither_is_a_device_which_is_not_even_opened(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = openat2.openat2
    monkeypatch.setattr(openat2, "openat2", lambda fd, path, flags: opened.append(flags) or real(fd, path, flags))
    dev = os.open("/dev", os.O_PATH | os.O_DIRECTORY)
    try:
        assert openat2.read_regular(dev, "zero", 100) is None
    finally:
        os.close(dev)
    assert opened == [os.O_PATH]


def test_what_becomes_a_fifo_between_the_look_and_the_reading(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, real = tmp_path / "place", openat2.openat2
    place.touch()

    def swap(fd: int, path: str, flags: int) -> int:
        found = real(fd, path, flags)
        if flags == os.O_PATH:
            place.unlink()
            os.mkfifo(place)
        return found

    monkeypatch.setattr(openat2, "openat2", swap)
    assert openat2.read_regular(root, "place", 100) is None


def test_in_the_root_of_a_process_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_text("content")
    started = process.start_time(os.getpid())
    assert process_root.read_file(os.getpid(), started, str(tmp_path / "file")) == b"content"
    assert process_root.read_file(os.getpid(), started, str(tmp_path / "fifo")) is None
    assert process_root.read_file(os.getpid(), started, "/dev/zero") is None
