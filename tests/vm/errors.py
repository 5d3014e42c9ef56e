# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one error of this package: a sentence for the person who started the tests."""

from __future__ import annotations


class VmError(Exception):
    """Says what failed and what to do; whatever was started for it has been ended."""
