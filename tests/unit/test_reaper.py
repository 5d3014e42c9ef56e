# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which program of the host may be a container's first process, and what is said of the others."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import elf, reaper

STATIC, DYNAMIC = Path("/bin/busybox"), Path("/usr/bin/env")


def other_machine(path: Path) -> None:
    """A static program for S/390, as far as its header says."""
    content = bytearray(STATIC.read_bytes())
    struct.pack_into("<H", content, 18, 22)
    path.write_bytes(content)


UNFIT = {
    "dynamic": (lambda path: shutil.copy(DYNAMIC, path), 0o755, "is not static"),
    "of another machine": (other_machine, 0o755, "is for s390x"),
    "a script": (lambda path: path.write_text("#!/bin/sh\n"), 0o755, "is not static"),
    "half a program": (lambda path: path.write_bytes(STATIC.read_bytes()[:100]), 0o755, "is not static"),
    "empty": (lambda path: path.touch(), 0o755, "is not static"),
    "a directory": (lambda path: path.mkdir(), 0o755, "is not a program that every user may execute"),
    "a FIFO": (lambda path: os.mkfifo(path), 0o755, "is not a program that every user may execute"),
    "for root alone": (lambda path: shutil.copy(STATIC, path), 0o700, "is not a program that every user may execute"),
    "for its group to write": (lambda path: shutil.copy(STATIC, path), 0o775, "may be written by another user"),
}


@pytest.mark.parametrize(("make", "mode", "why"), UNFIT.values(), ids=list(UNFIT))
def test_an_unfit_one_is_passed_over_and_named(
    make: object, mode: int, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfit, fit = tmp_path / "unfit", tmp_path / "fit"
    make(unfit)  # type: ignore[operator]
    unfit.chmod(mode)
    monkeypatch.setattr(reaper, "PROGRAMS", (str(tmp_path / "nothing"), str(unfit), str(fit)))
    assert reaper.usable() == ()
    assert f"is on this host ({unfit} {why}" in reaper.why_none()
    assert "nothing" not in reaper.why_none()
    assert reaper.why_none().endswith("): install package catatonit")
    shutil.copy(STATIC, fit)
    fit.chmod(0o755)
    assert (reaper.usable(), reaper.why_none()) == ((str(fit),), "")


def test_what_is_written_by_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "theirs"
    shutil.copy(STATIC, theirs)
    os.chown(theirs, 65534, 0)
    monkeypatch.setattr(reaper, "PROGRAMS", (str(theirs),))
    assert "may be written by another user than root" in reaper.why_none()


def test_the_loader_of_a_program() -> None:
    assert elf.loader(DYNAMIC.read_bytes()[: elf.HEAD]).startswith("/lib")
    assert elf.loader(STATIC.read_bytes()[: elf.HEAD]) == elf.loader(b"\x7fELF") == elf.loader(b"") == ""
    assert not elf.is_static(b"\x7fELF" + b"\x02" * 60)
