# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module's options while they are put together, each with the place of the file that it comes from."""

from __future__ import annotations

import re
from typing import Any

from .errors import Place

_LAST = re.compile(r"(.*)(?:\.[^.\[]*|\[[^\[]*)\Z", re.DOTALL)


class Options:
    """``values`` are what the module takes; ``place`` is of the object as a whole."""

    def __init__(self, place: Place, hint: str = "", **values: Any) -> None:
        """``hint`` says what to set where the name cannot be one."""
        self.values: dict[str, Any] = dict(values)
        self.hint = hint
        self._place = place
        self._places: dict[str, Place] = {}

    def set(self, option: str, value: Any, place: Place) -> None:
        """What is None stays unset, which is the module's own default."""
        if value is not None:
            self.values[option] = value
            self._places[option] = place

    def add(self, option: str, element: Any, place: Place) -> None:
        """One more element of a list."""
        listed = self.values.setdefault(option, [])
        self._places[f"{option}[{len(listed)}]"] = place
        listed.append(element)

    def named(self, option: str, name: str, value: Any, place: Place) -> None:
        """One more entry of a dictionary."""
        self.values.setdefault(option, {})[name] = value
        self._places[f"{option}.{name}"] = place

    def note(self, option: str, place: Place) -> None:
        """Where a part of a value comes from."""
        self._places[option] = place

    def value_of(self, option: str) -> Any:
        """The value of an option as an error of the module calls it; None where there is none."""
        found: Any = self.values
        for step in re.findall(r"[^.\[\]]+", option):
            if isinstance(found, dict):
                found = found.get(step)
            elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                return None
        return found

    def place_of(self, option: str) -> Place:
        """The place of an option as an error of the module calls it, such as ``mounts[0].source``."""
        while option:
            if option in self._places:
                return self._places[option]
            shorter = _LAST.match(option)
            option = shorter[1] if shorter else ""
        return self._place
