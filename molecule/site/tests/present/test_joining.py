# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command that joins a container which ends just then never runs on the host. joining.py runs in the machine."""


def test_exec_never_runs_on_the_host(joined):
    assert joined["rounds"] > 2, joined
    assert joined["host"] not in joined["told"], joined


def test_some_ran_and_some_were_told_why_not(joined):
    """So the moments that matter were among them."""
    ran = {said for said in joined["told"] if said.startswith("mnt:[")}
    refused = {said for said in joined["told"] if said.startswith("nsrun: container 'web' ")}
    assert len(ran) > 2 and refused, joined
    assert any("has just ended" in said for said in refused), joined
