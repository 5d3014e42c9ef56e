# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trees of any depth are removed and walked, with few descriptors and without leaving them."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import files, tree


def dig(path: Path, depth: int, name: str = "a") -> None:
    """A chain of directories, each with a file beside the next, deeper than any path can say."""
    path.mkdir(exist_ok=True)
    fd = os.open(path, os.O_RDONLY)
    for _level in range(depth):
        os.mkdir(name, dir_fd=fd)
        os.close(os.open("file", os.O_CREAT, dir_fd=fd))
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 100, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
@pytest.mark.parametrize(("depth", "name"), [(1, "a"), (63, "a"), (64, "a"), (65, "a"), (1500, "a"), (300, "n" * 255)])
def test_a_deep_tree_is_removed(tmp_path: Path, depth: int, name: str) -> None:
    top = tmp_path / "top"
    dig(top, depth, name)
    dig(top / "other", depth, name)
    before = os.listdir("/proc/self/fd")
    files.remove_tree(str(top))
    assert os.listdir(tmp_path) == [] and len(os.listdir("/proc/self/fd")) == len(before)


def test_removal_follows_nothing(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    dig(precious, 3)
    top = tmp_path / "top"
    dig(top, 2)
    (top / "link").symlink_to(precious)
    (top / "a/up").symlink_to("../../precious")
    (tmp_path / "alias").symlink_to(precious)
    files.remove_tree(str(top))
    files.remove_tree(str(tmp_path / "alias"))
    files.remove_tree(str(tmp_path / "never-there/x"))
    assert os.listdir(tmp_path) == ["precious"] and (precious / "a/a/a").is_dir()
    files.remove_tree(os.fsencode(precious / "file"))
    assert not (precious / "file").exists()


def test_what_somebody_puts_there_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory becomes a symlink to elsewhere after it was listed."""
    precious = tmp_path / "precious"
    dig(precious, 1)
    top = tmp_path / "top"
    dig(top, 1)
    listed = tree._listed

    def swap(fd: int) -> Iterator[tuple[bytes, bool]]:
        names = list(listed(fd))
        if (top / "a").is_dir() and not (top / "a").is_symlink():
            (top / "a").rmdir()
            (top / "a").symlink_to(precious)
        return iter(names)

    monkeypatch.setattr(tree, "_listed", swap)
    with pytest.raises(OSError, match="rmdir .*top: Directory not empty"):
        files.remove_tree(str(top))
    assert (precious / "file").exists() and (precious / "a").is_dir()
    files.remove_tree(str(top))
    assert not top.exists()


def test_a_walk(tmp_path: Path) -> None:
    """Byte order, parents first, and no deeper than asked for."""
    for name in ("b/x/y/z", "a", "b-", "left/out"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "b/link").symlink_to("x")
    root = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    with contextlib.closing(tree.walk(root, 2, {b"left"})) as nodes:
        found = [(node.path, node.depth, node.fd >= 0) for node in nodes]
    assert found == [
        (b"a", 1, True),
        (b"b", 1, True),
        (b"b/link", 2, False),
        (b"b/x", 2, True),
        (b"b/x/y", 3, False),
        (b"b-", 1, True),
    ]
    with contextlib.closing(tree.walk(root, 9)) as nodes:
        while next(nodes).path != b"b/x/y":
            pass
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(root)
