# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that are names with texts: what YAML made a number or a boolean of is not what was written any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import OptionError

_KINDS = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a dictionary"}


def variables(option: str, given: Mapping[str, Any] | None) -> dict[str, str]:
    """Environment variables; one without a value is empty. Raises OptionError, which shows no value: it may be secret.

    1.10, on and 0755 are 1.1, True and 493 by the time they get here, so nothing but text is taken.
    """
    found = {}
    for name, value in (given or {}).items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise OptionError(option, name, "a variable's name cannot be empty or hold '=' or a NUL byte")
        found[name] = "" if value is None else text(f"{option}.{name}", value)
    return found


def text(option: str, value: Any) -> str:
    """A value that was written as text. Raises OptionError."""
    if not isinstance(value, str):
        kind = _KINDS.get(type(value), "nothing" if value is None else type(value).__name__)
        raise OptionError(option, kind, "is not text, and may not be what was written: put it in quotes")
    if "\0" in value:
        raise OptionError(option, "a text", "cannot hold a NUL byte")
    return value
