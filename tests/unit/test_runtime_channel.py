# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runtime and the container's init tell each other."""

from __future__ import annotations

import contextlib

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import RuntimeFailure
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.process.channel import Channel


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
