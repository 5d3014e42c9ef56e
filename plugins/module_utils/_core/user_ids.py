# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""User and group IDs that a process can have."""

from __future__ import annotations

from collections.abc import Iterable

from .._kernel.subids import Granted

#: The kernel keeps IDs in 32 bits, and the highest one means none.
_IDS = 2**32 - 1


def outside_of(user: tuple[int, int, tuple[int, ...]], size: int | None) -> str:
    """Which of (uid, gid, further gids) no process can have, in words; empty where each is fine.

    ``size`` is how many IDs, from 0, the user namespace maps; None for the host's own.
    """
    uid, gid, groups = user
    last = min(size or _IDS, _IDS) - 1
    for kind, number in (("user", uid), *(("group", number) for number in (gid, *groups))):
        if number > last:
            what = "of the container's user namespace" if size else "that the kernel knows"
            return f"the {kind} ID {number} is not one {what} (0 to {last})"
    return ""


def taken_by_users(option: str, wanted: tuple[int, int] | None, granted: Iterable[Granted]) -> tuple[str, ...]:
    """A warning for a range (first ID, size) that a file of the host gives to a user too; else nothing."""
    for one in granted if wanted else ():
        if wanted and one.overlaps(*wanted):
            return (
                f"{option}: the IDs {wanted[0]} to {sum(wanted) - 1} overlap those from {one.first} to "
                f"{one.first + one.size - 1} that {one.file} gives to {one.user}, who can act with them; "
                "choose other IDs unless that is meant",
            )
    return ()
