# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runtime and the container's init, or a process that joins, tell each other."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import RuntimeFailure
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process.channel import Channel
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process.lifeline import Lifeline


@pytest.mark.parametrize("character", ["x", "ä", "😀", "\udcff", "\0", '"'])
def test_a_long_error_arrives_cut(character: str) -> None:
    ours, theirs = Channel.pair()
    with contextlib.closing(ours), contextlib.closing(theirs):
        theirs.send("error", "process.args: " + character * 100_000)
        theirs.send("error", [character * 100_000, 127])
        with pytest.raises(RuntimeFailure) as failed:
            ours.expect("ready", "the container's init")
        assert ours.receive() == ("error", [character * 4096 + "...", 127])
    said = str(failed.value)
    assert said.startswith("process.args: " + character * 1000) and said.endswith(character + "...")


@pytest.mark.parametrize("character", ["x", "ä", "😀", "\udcff", "\0", '"'])
def test_a_long_error_of_who_joins_arrives_cut(character: str) -> None:
    line = Lifeline()
    line.fail(character * 100_000, 127)
    failed = line.end()
    assert failed is not None and (str(failed), failed.status) == (character * 4096 + "...", 127)


@pytest.mark.parametrize(
    "sent", [b"\xff", b"{}", b"[1]", b'["a", "b"]', b'["a", []]', b"[" * 60_000, b'["a", 1e999]', b"\0\0"]
)
def test_who_joins_may_send_anything(sent: bytes) -> None:
    """By then it may be the container that speaks."""
    for hear in (Lifeline.wait_ready, Lifeline.end):
        line = Lifeline()
        os.write(line.filenos()[1], sent)
        with pytest.raises(RuntimeFailure, match="the process that joins the container sent what is no message"):
            raise hear(line) or AssertionError


def test_only_the_stage_tells_what_it_made() -> None:
    line = Lifeline()
    stage = os.fork()
    if stage == 0:
        line.begin_alone()
        made = os.fork()
        if made == 0:
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            line.tell_made(1)
            os._exit(0)
        _pid, status = os.waitpid(made, 0)
        line.tell_made(os.WTERMSIG(status))
        os._exit(0)
    os.waitpid(stage, 0)
    assert line.made() == signal.SIGSEGV


def test_without_a_runtime_who_joins_ends() -> None:
    line = Lifeline()
    joining = os.fork()
    if joining == 0:
        line.other_side()
        line.wait()
        os._exit(0)
    line.runtime_side()
    line.close()
    assert os.waitstatus_to_exitcode(os.waitpid(joining, 0)[1]) == 1
