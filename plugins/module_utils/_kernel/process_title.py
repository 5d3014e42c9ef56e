# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ps(1) shows of a process that was forked to do something else than its parent."""

from __future__ import annotations

import ctypes
import os

from .process import stat_fields

#: arg_start and arg_end, fields 48 and 49 of proc_pid_stat(5), counted from the state.
_FIRST, _END = 45, 46


def set_command_line(words: list[str]) -> None:
    """Write over this process's command line in its own memory, as far as there is room: at most what is there now."""
    fields = stat_fields(os.getpid())
    first, end = (int(fields[number]) for number in (_FIRST, _END))
    text = b"\0".join(os.fsencode(word) for word in words)[: end - first - 1]
    if first and text:
        ctypes.memmove(first, text.ljust(end - first, b"\0"), end - first)
