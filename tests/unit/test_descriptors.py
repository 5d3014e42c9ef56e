# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which ranges of descriptors are closed, and which are the caller's."""

from __future__ import annotations

import os

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process import descriptors

END = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("kept", "closed"),
    [
        ((), [(3, END)]),
        ((0, 1, 2), [(3, END)]),
        ((3,), [(4, END)]),
        ((7, 5, 5), [(3, 4), (6, 6), (8, END)]),
        ((3, 4, 5, -1), [(6, END)]),
    ],
)
def test_all_but(kept: tuple[int, ...], closed: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def close_range(name: str, _number: int, first: int, last: int, flags: int) -> int:
        assert (name, flags) == ("close_range", 0)
        calls.append((first, last))
        return 0

    monkeypatch.setattr(descriptors.libc, "syscall", close_range)
    descriptors.close_all_but(kept)
    assert calls == closed


def test_what_is_close_on_exec_was_not_handed_on() -> None:
    ours, theirs = os.open("/dev/null", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(theirs, True)
    try:
        found = descriptors.handed_on(max(ours, theirs) - 2)
        assert theirs in found and ours not in found
        assert descriptors.handed_on(0) == ()
    finally:
        os.close(ours)
        os.close(theirs)
