# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of ours that other users of the host could get into are closed again by whatever runs next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .._kernel.own_directories import Changed
from .files import SetDirectory, shown_mode
from .operation import Change, Plan

#: What they are called in diffs and changes.
_OPTION = "directories"


def with_directories(plan: Plan, changed: Sequence[Changed]) -> Plan:
    """The plan that sets modes and owners first; the same one where all are as they should be."""
    if not changed:
        return plan
    before = {one.path: shown_mode(one.mode, one.uid, one.gid) for one in changed}
    after = {one.path: shown_mode(one.wanted) for one in changed}
    first = tuple(SetDirectory(one.path, one.wanted, before[one.path]) for one in changed)
    return replace(
        plan,
        operations=(*first, *plan.operations),
        before={**plan.before, _OPTION: before},
        after={**plan.after, _OPTION: after},
        changes=(*plan.changes, Change(_OPTION, before, after)),
    )
