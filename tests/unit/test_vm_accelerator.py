# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KVM is used where a kernel boots under it, and asked about once; with a QEMU that is a shell script."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.tests.vm import accelerator

pytestmark = pytest.mark.once

QEMU = """#!/bin/sh
echo "$@" >>{calls}
[ "$1" = --version ] && {{ echo "QEMU emulator version $VERSION"; exit; }}
for word; do case $word in file:*) serial=${{word#file:}} ;; esac; done
{does}
"""
BOOTS = """
case "$*" in *"-accel kvm "*/image/vmlinuz*/image/initrd*barekernel.probe*) echo barekernel-probe-ok >"$serial" ;; esac
"""


class Probe:
    """A QEMU in a directory of its own."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self.monkeypatch = directory, monkeypatch
        self.said: list[str] = []
        monkeypatch.setenv("BAREKERNEL_VM_CACHE", str(directory))
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
        self.version("1")

    def version(self, number: str) -> None:
        self.monkeypatch.setenv("VERSION", number)

    def does(self, script: str) -> None:
        program = self.directory / accelerator.QEMU
        program.write_text(QEMU.format(calls=self.directory / "calls", does=script))
        program.chmod(0o755)

    def choose(self) -> str:
        return accelerator.choose(str(self.directory / "image"), self.said.append)

    def boots(self) -> int:
        return sum("-accel kvm" in line for line in (self.directory / "calls").read_text().splitlines())


@pytest.fixture(name="probe")
def probe_with_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **rest: path == "/dev/kvm" or access(path, mode, **rest))
    return Probe(tmp_path, monkeypatch)


def test_without_the_device_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode, **rest: False)
    probe = Probe(tmp_path, monkeypatch)
    probe.does("exit 1")
    assert (probe.choose(), probe.said, (tmp_path / "calls").exists()) == ("tcg", [], False)


def test_a_kernel_that_boots_under_kvm_is_asked_once_for_each_qemu(probe: Probe) -> None:
    probe.does(BOOTS)
    assert [probe.choose(), probe.choose()] == ["kvm", "kvm"]
    assert probe.boots() == 1
    assert probe.said[-1] == "KVM works and is used"
    probe.version("2")
    assert (probe.choose(), probe.boots()) == ("kvm", 2)


@pytest.mark.parametrize("script", ["exit 1", 'echo Kernel panic >"$serial"', "exec sleep 600"])
def test_one_that_does_not_is_emulated_and_that_is_remembered(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(accelerator, "PROBE_LIMIT", 1.0)
    probe.does(script)
    assert [probe.choose(), probe.choose()] == ["tcg", "tcg"]
    assert probe.boots() == 1
    assert probe.said[-1].startswith("KVM does not boot a kernel here: emulating")
