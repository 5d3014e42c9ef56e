# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command that joins a container which ends just then never runs on the host. joining.py runs in the machine."""


def test_exec_never_runs_on_the_host(joined):
    assert joined["host"] not in joined["told"], joined


def test_some_ran_and_some_were_told_why_not(joined):
    """So there were moments that matter. How many depends on the machine: an emulated one starts few in a minute."""
    ran = [said for said in joined["told"] if said.startswith("mnt:[")]
    refused = [said for said in joined["told"] if said.startswith("nsrun: container 'web' ")]
    assert ran and refused and joined["rounds"], joined
