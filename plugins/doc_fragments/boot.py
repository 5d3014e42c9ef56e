# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of option group ``boot``."""

from __future__ import annotations


class ModuleDocFragment:
    """The argument spec is module_utils/_module/arguments/boot.py."""

    DOCUMENTATION = r"""
options:
  systemd:
    description:
      - Keep the options on the host, and write a unit to C(/etc/systemd/system) that makes all this again at the next
        boot. When V(false) it is no longer made again; the unit goes with the last object of this module that needs
        it. Applied live.
      - Refused on hosts where systemd does not run.
    type: bool
    default: false
"""
