# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a planner or a resource says no before anything is changed."""

from __future__ import annotations

from typing import Any


class OptionError(ValueError):
    """A value that cannot be meant: names the option, the value and what to write instead."""

    def __init__(self, option: str, value: Any, message: str) -> None:
        super().__init__(f"{option}: {value!r}: {message}")
        self.option = option
        self.message = message
        self.value = value


class Refused(RuntimeError):
    """The host's state forbids what was asked (a clash, a foreign object); nothing was changed."""
