# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a Compose file: everything that was found, each with its place, in one error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ...module_utils._core.errors import LONGEST_SHOWN
from ...module_utils._kernel.errors import BareKernelError
from ...module_utils._kernel.terminal import shown_line

#: What ``compose_unsupported`` may be.
ERROR, WARN = "error", "warn"


@dataclass(frozen=True)
class Place:
    """Where a value is: its file, its line (0 where it came from a dictionary) and its keys."""

    file: str
    line: int
    path: str

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        return f"{self.file}{line}: {self.path}" if self.path else f"{self.file}{line}"

    def key(self, name: str, line: int | None = None) -> Place:
        """The place of an entry of a mapping."""
        return Place(self.file, self.line if line is None else line, f"{self.path}.{name}" if self.path else name)

    def item(self, index: int, line: int | None = None) -> Place:
        """The place of an element of a list."""
        return Place(self.file, self.line if line is None else line, f"{self.path}[{index}]")


class ComposeError(BareKernelError, ValueError):
    """A Compose file that cannot be translated; ``messages`` has everything that is wrong with it, a line each."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = tuple(shown_line(message) for message in messages)
        super().__init__("\n".join(self.messages))


@dataclass
class Problems:
    """Collects what is found, so that a file is read to its end. ``unsupported`` is ``error`` or ``warn``."""

    policy: str = ERROR
    _errors: list[tuple[Place, str]] = field(default_factory=list)
    _warnings: list[tuple[Place, str]] = field(default_factory=list)

    def wrong(self, place: Place, message: str, *value: Any) -> None:
        """A value that cannot be meant; ``value`` is shown, unless it is left out because it may be secret."""
        self._errors.append((place, "".join(f"{_shown(each)}: " for each in value) + message))

    def unsupported(self, place: Place, why: str) -> None:
        """Something of the Compose Specification that has no counterpart here."""
        found = self._warnings if self.policy == WARN else self._errors
        found.append((place, f"is not supported: {why}"))

    def warn(self, place: Place, message: str) -> None:
        """Something that may be meant, and that the user should know of."""
        self._warnings.append((place, message))

    @property
    def failed(self) -> bool:
        """Whether anything found so far is an error."""
        return bool(self._errors)

    def raise_if_any(self) -> None:
        """Raises ComposeError with every error found so far, in the order of the file."""
        if self._errors:
            raise ComposeError(_in_order(self._errors))

    @property
    def warnings(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(shown_line(message) for message in _in_order(self._warnings))


def _in_order(found: list[tuple[Place, str]]) -> list[str]:
    lines = sorted(found, key=lambda each: (each[0].file, each[0].line))
    return list(dict.fromkeys(f"{place}: {message}" for place, message in lines))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}... ({len(text)} characters)"
