# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container is a unit like any other. administrator.py runs in the machine."""

from administered import (  # noqa: F401
    test_no_process_of_ours_stays,
    test_start_and_restart_bring_it_back,
    test_status_tells_what_it_is,
    test_stop_ends_it_and_is_no_failure,
    test_the_containers_init_is_the_units_main_process,
)
