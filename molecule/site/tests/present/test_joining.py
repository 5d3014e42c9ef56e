# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command that joins a container which ends just then never runs on the host. joining.py runs in the machine."""

import pytest


def test_exec_runs_in_the_container(joined):
    assert joined["undisturbed"] == joined["container"] != joined["host"]


@pytest.mark.parametrize("end", ["killed", "killed and started"])
def test_exec_into_a_container_that_ends_just_then_is_told_so(joined, end):
    """At whatever moment: it runs neither on the host nor in the container that came after."""
    assert len(joined["told"][end]) == 3
    ended = "nsrun: container 'web' has just ended: a process can join only a running one"
    assert set(joined["told"][end].values()) == {ended}, joined
