# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a planner or a resource says no before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._kernel.errors import BareKernelError

#: Characters of a value that an error shows.
LONGEST_SHOWN = 300


class OptionError(BareKernelError, ValueError):
    """A value that cannot be meant: names the option, the value and what to write instead."""

    def __init__(self, option: str, value: Any, message: str) -> None:
        self.option = _cut(option)
        self.message = _cut(message, 4 * LONGEST_SHOWN)
        self.value = value
        super().__init__(f"{self.option}: {_shown(value)}: {self.message}")


def _shown(value: Any) -> str:
    """The value as Python writes it, short enough for a sentence."""
    try:
        return _cut(repr(value))
    except ValueError:  # sys.set_int_max_str_digits()
        return "a number of thousands of digits"


def _cut(text: str, longest: int = LONGEST_SHOWN) -> str:
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


class CommandFailed(BareKernelError):
    """Everything was done as asked, and what was run said no; ``values`` are returned with the failure.

    ``done`` is what was applied before, which converge knows.
    """

    def __init__(self, message: str, values: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.values = values
        self.done: list[str] = []


class Needed(BareKernelError):
    """Something has to be brought to this host first; nothing was changed. ``needs`` is plain data for the controller:
    what is wanted, and what there is of it, by kind of object and name."""

    def __init__(self, message: str, needs: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.needs = needs


class Refused(BareKernelError):
    """The host's state forbids what was asked (a clash, a foreign object); nothing was changed."""


class NoPlace(Refused):
    """What this host cannot keep: /var/lib/barekernel is no place for it."""
