# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What verify expects a layer to hold, told from its blob alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.format.manifest import Layer
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers.contents import Content
from ansible_collections.barekernel.containers.plugins.module_utils._image.store import verify

from tests.kernel.layouts import digest, tar

FIFO = {"type": b"6"}


def of(content: bytes) -> str:
    found = Content()
    found.add(0, content)
    return found.digest(len(content))


def left_behind(directory: Path, content: bytes) -> dict[bytes, str]:
    (directory / "blob").write_bytes(content)
    layer = Layer(digest(content), len(content), digest(content), digest(content))
    return verify._contents(str(directory / "blob"), layer)


@pytest.mark.parametrize(
    ("members", "files"),
    [
        ([("x", b"1"), ("x", None), ("x/y", b"2")], {"x/y": b"2"}),
        ([("x", None), ("x/y", b"1"), ("x", b"2")], {"x": b"2"}),
        ([("x", None), ("x/y", b"1"), ("x", None), ("x/z", b"2")], {"x/y": b"1", "x/z": b"2"}),
        ([("x", None), ("x/y", b"1"), ("x", "->elsewhere")], {}),
        ([("x", None), ("x/y", b"1"), ("x", b"", FIFO)], {}),
        ([("x", b"1"), ("x", (1, 3))], {}),
        ([("x", b"1"), ("x", b"2")], {"x": b"2"}),
        ([("b", None), ("a", "->b"), ("a/f", b"1"), ("b/f", b"2")], {"b/f": b"2"}),
        ([("b", None), ("a", "->/b"), ("b/f", b"1"), ("a/f", b"2")], {"b/f": b"2"}),
        ([("d/b", None), ("d/a", "->../d/./b"), ("d/a/f", b"1")], {"d/b/f": b"1"}),
        ([("b", None), ("a", "->../../b"), ("a/f", b"1")], {"b/f": b"1"}),
        ([("b", None), ("a", "->b"), ("a/f", b"1"), ("a", None), ("a/f", b"2")], {"b/f": b"1", "a/f": b"2"}),
        ([("a", b"1"), ("h", "=a"), ("a", b"2")], {"a": b"2", "h": b"1"}),
        ([("b", None), ("a", "->b"), ("b/f", b"1"), ("h", "=a/f")], {"b/f": b"1", "h": b"1"}),
        ([("h", b"1"), ("h", "=of/a/lower/layer")], {}),
        ([("h", b"1"), ("h", "=h")], {"h": b"1"}),
        ([("f", b"1"), (".wh.f", b"")], {"f": b"1"}),
        ([(".wh.f", b""), ("f", b"1")], {"f": b"1"}),
        ([(".wh.d", b""), ("d/f", b"1")], {"d/f": b"1"}),
        ([("d/.wh..wh..opq", b""), ("d/f", b"1"), (".wh..wh.plnk", None), (".wh..wh.plnk/1.2", b"x")],
         {"d/f": b"1", ".wh..wh.plnk/1.2": b"x"}),
        # None of these is ever unpacked, and none may do harm to whoever looks.
        ([("a", "->b"), ("b", "->a"), ("a/x", b"1")], {}),
        ([("d", None), ("d/h", "=d"), ("d/f", b"1")], {"d/f": b"1"}),
    ],
)  # fmt: skip
def test_what_a_later_entry_leaves(tmp_path: Path, members: list[Any], files: dict[str, bytes]) -> None:
    expected = {os.fsencode(name): of(content) for name, content in files.items()}
    assert left_behind(tmp_path, tar(*members)) == expected


def test_the_work_for_an_entry_does_not_grow(tmp_path: Path) -> None:
    few, many = (steps(tmp_path, count) for count in (200, 1600))
    assert many < 8.5 * few


def steps(directory: Path, count: int) -> int:
    """How many calls of functions, Python's own included, it takes to read so many entries."""
    made = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    members = [(f"node_modules/p{number // 50}/f{number}.js", b"") for number in range(count)]
    content = tar(*members)
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        assert len(left_behind(directory, content)) == count
    finally:
        sys.setprofile(before)
    return made
