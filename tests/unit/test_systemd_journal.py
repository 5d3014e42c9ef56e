# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What journalctl prints of a unit is read message by message, whatever containers write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import systemd

MESSAGES = ["plain", "line separator\u2028here", "next line\u0085here", "file separator\x1chere", "", "\u00fc"]


def test_each_message_is_one_whatever_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [{"MESSAGE": message} for message in MESSAGES]
    entries.append({"MESSAGE": list(b"not \xff UTF-8")})
    printed = tmp_path / "printed"
    printed.write_bytes("".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries).encode())
    journalctl = tmp_path / "journalctl"
    journalctl.write_text(f"#!/bin/sh\nexec cat {printed}\n")
    journalctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert systemd.journal("barekernel-web.service", 10) == [*MESSAGES, "not \udcff UTF-8"]
