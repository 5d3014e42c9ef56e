# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ranges of IDs that users of the host may map in user namespaces of their own, subuid(5) and subgid(5)."""

from __future__ import annotations

import re
from typing import NamedTuple

from . import files

_FILES = ("/etc/subuid", "/etc/subgid")
_LINE = re.compile(r"([^:#]+):([0-9]{1,10}):([0-9]{1,10})\s*\Z")


class Granted(NamedTuple):
    """IDs from ``first`` on that ``file`` gives to a user, by name or number."""

    first: int
    size: int
    user: str
    file: str

    def overlaps(self, first: int, size: int) -> bool:
        """Whether a range has an ID of these."""
        return self.first < first + size and first < self.first + self.size


def granted() -> tuple[Granted, ...]:
    """All of them; lines that are none are left out, as newuidmap(1) does. Raises KernelError."""
    found = []
    for file in _FILES:
        for line in (files.read_text(file) or "").splitlines():
            match = _LINE.match(line)
            if match and int(match[3]):
                found.append(Granted(int(match[2]), int(match[3]), match[1], file))
    return tuple(found)
