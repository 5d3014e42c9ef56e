# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every source file says whose it is and under which licence."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.once

CHECKOUT = Path(__file__).resolve().parents[2]
#: Folders of programs and what belongs to them; recorded answers of kernels are no sources.
PLACES = ("plugins", "tests", "tools", "molecule")
SOURCES = (".py", ".sh", ".mk")
HEADER = (
    "# Copyright: (c) 2026, barekernel.containers maintainers\n"
    "# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
    "# SPDX-License-Identifier: GPL-3.0-or-later\n"
)


def is_source(path: Path) -> bool:
    """By its name, or by a first line that says what runs it. What is empty says nothing that anyone could own."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size == 0 or {"__pycache__", "output"} & {*path.parts}:
        return False
    return path.suffix in SOURCES or not path.suffix and path.read_bytes()[:2] == b"#!"


FILES = [CHECKOUT / "Makefile", *(p for place in PLACES for p in sorted((CHECKOUT / place).rglob("*")) if is_source(p))]


def has_header(text: str) -> bool:
    first, _newline, rest = text.partition("\n")
    return (rest if first.startswith("#!") else text).startswith(HEADER)


def test_the_header() -> None:
    assert [str(path.relative_to(CHECKOUT)) for path in FILES if not has_header(path.read_text())] == []


def test_all_kinds_are_there() -> None:
    found = {str(path.relative_to(CHECKOUT)) for path in FILES}
    assert {"Makefile", "tools/test", "tests/isolated", "plugins/modules/oci_image.py"} <= found
