# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The digest of a content, however it comes and wherever it has holes."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.layers.contents import Content, digest_of

M = 1 << 20
#: Parts (offset, bytes) and the size of a file.
FILES = {
    "empty": ([], 0),
    "small": ([(0, b"abc")], 3),
    "zeros": ([(0, bytes(10))], 10),
    "a hole": ([], 5 * M),
    "a block and more": ([(0, b"x" * (M + 7))], M + 7),
    "a hole first": ([(3 * M + 5, b"abc")], 3 * M + 8),
    "a hole last": ([(0, b"abc")], 4 * M),
    "holes between": ([(10, b"abc"), (M - 1, b"de"), (3 * M, b"f")], 3 * M + 1),
}


def whole(parts: list[tuple[int, bytes]], size: int) -> bytes:
    content = bytearray(size)
    for offset, part in parts:
        content[offset : offset + len(part)] = part
    return bytes(content)


def of_parts(parts: list[tuple[int, bytes]], size: int) -> str:
    content = Content()
    for offset, part in parts:
        content.add(offset, part)
    return content.digest(size)


@pytest.mark.parametrize("name", FILES)
def test_holes_are_zeros(name: str, tmp_path: Path) -> None:
    parts, size = FILES[name]
    dense = whole(parts, size)
    wanted = of_parts([(0, dense)], size)
    assert of_parts(parts, size) == wanted
    assert of_parts([(at, dense[at : at + 70001]) for at in range(0, size, 70001)], size) == wanted
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(size)
        for offset, part in parts:
            file.seek(offset)
            file.write(part)
    (tmp_path / "dense").write_bytes(dense)
    for path in (tmp_path / "sparse", tmp_path / "dense"):
        with open(path, "rb") as file:
            assert digest_of(file.fileno()) == wanted


def test_each_content_has_its_own() -> None:
    contents = [whole(*given) for given in FILES.values()] + [b"abd", b"abc\0", b"\0abc", bytes(11), b"abc" + bytes(M)]
    assert len({of_parts([(0, content)], len(content)) for content in contents}) == len(set(contents))
