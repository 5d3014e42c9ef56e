# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of a Compose file as what they are to be. What is not is recorded, and None stands for it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from ...module_utils._core.command_line import words
from ...module_utils._core.errors import OptionError
from . import quantities
from .errors import Place, Problems
from .keys import Section
from .values import BOOLEAN, FLOAT, INTEGER, NULL, STRING, Scalar, Table, Value, is_null, kind_of
from .values import Sequence as Listed

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{0,14}[1-9]")
#: What Compose takes for booleans in quotes.
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "y", "on"), True),
    **dict.fromkeys(("false", "0", "no", "n", "off"), False),
}
#: Values with which a key that is not supported asks for nothing.
_NOTHING = ("", "false", "no", "off")


class Reader:
    """Reads values, and tells ``problems`` of those that cannot be meant."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def table(self, value: Value | None, section: Section) -> Table:
        """A mapping with the keys of its section; without those that are not read, of which the user is told."""
        if value is None or is_null(value):
            return Table(Place("", 0, "") if value is None else value.place, {})
        if not isinstance(value, Table):
            self.problems.wrong(value.place, f"is {kind_of(value)}; write a mapping")
            return Table(value.place, {})
        entries = {}
        for key, inner in value.items():
            if key in section.read:
                entries[key] = inner
            elif not key.startswith("x-") and key not in section.silent:
                self._not_read(key, inner, section)
        return Table(value.place, entries)

    def _not_read(self, key: str, value: Value, section: Section) -> None:
        if key in section.unsupported:
            if not _asks_for_nothing(value):
                self.problems.unsupported(value.place, section.unsupported[key])
        elif key in section.idle:
            self.problems.warn(value.place, f"is left out: {section.idle[key]}")
        else:
            near = difflib.get_close_matches(key, sorted(section.known), 1)
            hint = f"; is {near[0]} meant?" if near else ""
            self.problems.wrong(value.place, f"is no key of {section.name} in the Compose Specification{hint}")

    def entries(self, value: Value | None) -> Iterator[tuple[str, Value]]:
        """A mapping of names that the file chooses, of which any may begin with x-."""
        if value is None or is_null(value):
            return
        if not isinstance(value, Table):
            self.problems.wrong(value.place, f"is {kind_of(value)}; write a mapping")
            return
        yield from value.items()

    def items(self, value: Value | None) -> tuple[Value, ...]:
        """A list's."""
        if value is None or is_null(value):
            return ()
        if not isinstance(value, Listed):
            self.problems.wrong(value.place, f"is {kind_of(value)}; write a list")
            return ()
        return value.items

    def text(self, value: Value | None, secret: bool = False) -> str | None:
        """A text, a whole number or a boolean that can be written in one way only.

        Compose makes 493 of 0755 and 1.1 of 1.10, where they are not in quotes.
        """
        if value is None or is_null(value):
            return None
        if not isinstance(value, Scalar):
            self.problems.wrong(value.place, f"is {kind_of(value)}; write a text")
            return None
        plain = {
            STRING: True,
            INTEGER: bool(_WHOLE.fullmatch(value.text)),
            FLOAT: bool(_FLOAT.fullmatch(value.text)),
            BOOLEAN: value.text in ("true", "false"),
        }
        if not plain.get(value.kind, False):
            shown = () if secret else (value.text,)
            self.problems.wrong(value.place, f"is {kind_of(value)} that YAML rewrites; put it in quotes", *shown)
            return None
        return value.text

    def optional(self, value: Value | None) -> str | None:
        """A text; an empty one is not set, as where a variable without a value stands for it."""
        return self.text(value) or None

    def filled(self, value: Value | None) -> str | None:
        """A text that is not empty."""
        found = self.text(value)
        if found is not None and not found.strip() and value is not None:
            self.problems.wrong(value.place, "is empty; write a value, or leave the key out", found)
            return None
        return found

    def one_of(self, value: Value | None, allowed: Sequence[str]) -> str | None:
        """One of these words."""
        found = self.text(value)
        if found is not None and found not in allowed and value is not None:
            self.problems.wrong(value.place, f"must be one of {', '.join(allowed)}", found)
            return None
        return found

    def integer(self, value: Value | None, least: int, most: int) -> int | None:
        """A whole number, also in quotes."""
        found = self.text(value)
        if found is None or value is None:
            return None
        if not _WHOLE.fullmatch(found) or not least <= int(found) <= most:
            self.problems.wrong(value.place, f"must be a whole number from {least} to {most}", found)
            return None
        return int(found)

    def boolean(self, value: Value | None) -> bool | None:
        """A boolean, also in quotes."""
        if value is None or is_null(value):
            return None
        found = value.text if isinstance(value, Scalar) else ""
        if found.lower() not in _BOOLEANS:
            shown = (found,) if isinstance(value, Scalar) else ()
            self.problems.wrong(value.place, "must be true or false", *shown)
            return None
        return _BOOLEANS[found.lower()]

    def nanoseconds(self, value: Value | None) -> int | None:
        """A duration."""
        found = self.text(value)
        duration = None if found is None else quantities.nanoseconds(found)
        if found is not None and duration is None and value is not None:
            self.problems.wrong(value.place, quantities.DURATION, found)
        return duration

    def size(self, value: Value | None) -> int | None:
        """Bytes."""
        found = self.text(value)
        size = None if found is None else quantities.size(found)
        if found is not None and size is None and value is not None:
            self.problems.wrong(value.place, quantities.SIZE, found)
        return size

    def cpus(self, value: Value | None) -> str | None:
        """A number of CPUs as the option ``limits.cpu`` takes it; ``max`` for 0, which is no limit in Compose."""
        if value is None or is_null(value):
            return None
        found = value.text if isinstance(value, Scalar) else ""
        number = quantities.cpus(found)
        if number is None or (number and number * 100 < 1) or number > 8192:
            self.problems.wrong(value.place, "write a number of CPUs such as 1.5, at least 0.01", found)
            return None
        return quantities.plain(number) if number else "max"

    def texts(self, value: Value | None) -> list[tuple[str, Place]]:
        """The elements of a list of texts."""
        found = ((self._element(item), item.place) for item in self.items(value))
        return [(text, place) for text, place in found if text is not None]

    def text_or_texts(self, value: Value | None) -> list[tuple[str, Place]]:
        """One text, or a list of them."""
        if isinstance(value, Scalar) and value.kind != NULL:
            text = self.text(value)
            return [] if text is None else [(text, value.place)]
        return self.texts(value)

    def _element(self, item: Value) -> str | None:
        if is_null(item):
            self.problems.wrong(item.place, "is empty; write a text, or leave it out")
        return self.text(item)

    def command(self, value: Value | None) -> list[str] | None:
        """A list of words, or one line that is split as a shell does; None where the key is not there or is null."""
        if value is None or is_null(value):
            return None
        if not isinstance(value, Scalar):
            return [text for text, _place in self.texts(value)]
        line = self.text(value)
        try:
            return list(words("", line or ""))
        except OptionError as error:
            self.problems.wrong(value.place, error.message, line)
            return None

    def pairs(self, value: Value | None, separators: str = "=", secret: bool = False) -> Pairs:
        """A mapping of texts, or a list of NAME=VALUE; None stands for a value that is not there."""
        if not isinstance(value, Listed):
            found = Pairs()
            for key, inner in self.entries(value):
                found[key] = (self.text(inner, secret), inner.place)
            return found
        return self._listed_pairs(value, separators, secret)

    def _listed_pairs(self, value: Listed, separators: str, secret: bool) -> Pairs:
        found = Pairs()
        for item in value.items:
            text = self._element(item) if not secret else self.text(item, secret)
            if text is None:
                continue
            at = min((text.find(sign) for sign in separators if sign in text), default=-1)
            name, given = (text[:at], text[at + 1 :]) if at >= 0 else (text, None)
            if not name.strip():
                self.problems.wrong(item.place, f"has no name before '{separators[0]}'")
                continue
            found[name] = (given, item.place)
        return found


class Pairs(dict[str, tuple["str | None", Place]]):
    """Names with texts, each with its place; a later one replaces an earlier one."""


def _asks_for_nothing(value: Value) -> bool:
    if isinstance(value, Scalar):
        return value.kind == NULL or value.text.lower() in _NOTHING
    return not (value.entries if isinstance(value, Table) else value.items)
