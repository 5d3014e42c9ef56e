# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What journalctl prints of a unit is read message by message, whatever containers write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import systemd

MESSAGES = ["plain", "line separator\u2028here", "next line\u0085here", "file separator\x1chere", "", "\u00fc"]


#: journalctl leaves out what is long unless it is told otherwise, and prints a field that was given twice as a list.
JOURNALCTL = """#!/usr/bin/env python3
import json, sys
told = {word.partition("=")[0]: word.partition("=")[2] for word in sys.argv[1:]}
entries = json.load(open(sys.argv[0] + ".json"))[-int(told["--lines"]) :]
for entry in entries:
    for field, value in entry.items():
        if len(value) >= 4096 and "--all" not in told:
            entry[field] = None
    shown = {field: value for field, value in entry.items() if field in told["--output-fields"].split(",")}
    print(json.dumps({"__CURSOR": "s=1", **shown}, ensure_ascii=False))
"""


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The unit's messages as read, after these entries were printed."""
    (tmp_path / "journalctl").write_text(JOURNALCTL)
    (tmp_path / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONUTF8", "1")

    def read(entries: list[dict[str, object]], count: int = 10) -> list[str]:
        (tmp_path / "journalctl.json").write_text(json.dumps(entries))
        return systemd.journal("barekernel-web.service", count)

    return read


def test_each_message_is_one_whatever_is_in_it(journal: Callable[..., list[str]]) -> None:
    entries = [{"MESSAGE": message, "_PID": "1"} for message in MESSAGES]
    assert journal([*entries, {"MESSAGE": list(b"not \xff UTF-8")}]) == [*MESSAGES, "not \udcff UTF-8"]
    assert journal([*entries, {"_PID": "1"}], 2) == [MESSAGES[-1], ""]


def test_a_long_message_is_whole(journal: Callable[..., list[str]]) -> None:
    text, raw = "x" * 5000, b"\xff" * 5000
    assert journal([{"MESSAGE": text}, {"MESSAGE": list(raw)}]) == [text, raw.decode("utf-8", "surrogateescape")]


def test_a_message_that_was_given_twice_has_both(journal: Callable[..., list[str]]) -> None:
    assert journal([{"MESSAGE": ["one", list(b"\xfftwo")]}]) == ["one\n\udcfftwo"]
