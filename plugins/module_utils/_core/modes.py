# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""File modes as Ansible's own file modules take them: ``'0644'``, the number that YAML makes of 0644, ``u=rw,go=r``."""

from __future__ import annotations

import re
from typing import Any

from .._kernel.file_mode import CLAUSE
from .errors import OptionError

_OCTAL = re.compile(r"(0o)?[0-7]{1,5}\Z")
_WORDS = "write octal digits in quotes, such as '0755', or symbols, such as 'u=rwx,go=rx'"


def parse_mode(option: str, value: Any) -> int | str:
    """The mode's bits, or the symbols that file_mode.mode_after makes them of. Raises OptionError.

    An integer is taken as it is: YAML reads 0644 without quotes as an octal number, and hands on 420.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        mode = value
    elif isinstance(value, str) and _OCTAL.match(value):
        mode = int(value, 8)
    elif isinstance(value, str) and all(map(CLAUSE.match, value.split(","))):
        return value
    else:
        raise OptionError(option, value, _WORDS)
    if not 0 <= mode <= 0o7777:
        raise OptionError(option, value, f"is not a mode: {_WORDS}")
    return mode
