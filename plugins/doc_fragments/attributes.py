# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module promises: ``barekernel.containers.attributes`` for changing modules, ``.info`` for reading ones."""

from __future__ import annotations


class ModuleDocFragment:
    """Each promise is held by tests/kernel/test_every_module.py."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Reports what it would do without doing any of it, read from the live kernel.
    support: full
  diff_mode:
    description:
      - Returns the observed and the declared state, and how each difference is applied.
      - Every change is in it. Where an object is as declared and something is to be done all the same, such as a
        restart that was asked for, it is listed as C(to_do) of the observed state.
    support: full
  platform:
    description: The systems whose hosts it can work on.
    support: full
    platforms: Linux
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Changes nothing, so check mode makes no difference.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: N/A
  platform:
    description: The systems whose hosts it can work on.
    support: full
    platforms: Linux
"""
