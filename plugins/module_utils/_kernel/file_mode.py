# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the symbols of chmod(1) make of a file's mode. Pure."""

from __future__ import annotations

import re

CLAUSE = re.compile(r"[ugoa]*([-+=]([rwxXst]*|[ugo]))+\Z")
_CHANGE = re.compile(r"([-+=])([ugo](?![rwxXst])|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
#: setuid, setgid and the sticky bit, by whose permissions stand in the clause.
_SPECIAL = {"s": {"u": 0o4000, "g": 0o2000, "o": 0}, "t": {"u": 0, "g": 0, "o": 0o1000}}


def mode_after(mode: int | str, base: int, is_directory: bool) -> int:
    """The bits that a file, or directory, with the mode ``base`` gets of bits or of symbols like ``u=rw,go-w``."""
    if isinstance(mode, int):
        return mode
    for clause in mode.split(","):
        whose = clause[: len(clause) - len(clause.lstrip("ugoa"))]
        users = "ugo" if not whose or "a" in whose else whose
        for change, permissions in _CHANGE.findall(clause[len(whose) :]):
            base = _changed(base, users, change, permissions, is_directory)
    return base


def _changed(mode: int, users: str, change: str, permissions: str, is_directory: bool) -> int:
    for user in set(users):
        bits = _bits(mode, user, permissions, is_directory)
        special = 0o4000 if user == "u" else 0o2000 if user == "g" else 0o1000
        if change == "=":
            mode = mode & ~(0o7 << _SHIFT[user] | special) | bits
        else:
            mode = mode | bits if change == "+" else mode & ~bits
    return mode


def _bits(mode: int, user: str, permissions: str, is_directory: bool) -> int:
    if permissions in _SHIFT:  # as those of another class are
        return (mode >> _SHIFT[permissions] & 0o7) << _SHIFT[user]
    found = 0
    for letter in permissions:
        if letter in _SPECIAL:
            found |= _SPECIAL[letter][user]
        elif letter == "X":
            found |= (1 if is_directory or mode & 0o111 else 0) << _SHIFT[user]
        else:
            found |= _BITS[letter] << _SHIFT[user]
    return found
