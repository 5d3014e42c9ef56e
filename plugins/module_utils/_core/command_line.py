# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that are written as one line of text. Pure."""

from __future__ import annotations

import shlex

from .errors import OptionError

#: MAX_ARG_STRLEN without its NUL, execve(2): the kernel takes no longer word. Splitting longer lines takes minutes.
LONGEST = 131071


def words(option: str, line: str) -> tuple[str, ...]:
    """The words of a command line, quoted as for sh(1); none of an empty one. Raises OptionError."""
    if len(line) > LONGEST:
        raise OptionError(option, line, f"has more than {LONGEST} characters")
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        raise OptionError(option, line, f"cannot be split into words: {error}; check its quotes") from None
