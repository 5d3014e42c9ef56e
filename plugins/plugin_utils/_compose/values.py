# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Compose file as a tree of values, each of which knows its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Union

from .errors import Place, Problems

#: Kinds of scalars, as the core schema of YAML 1.2 resolves them (10.3.2).
STRING, INTEGER, FLOAT, BOOLEAN, NULL = "string", "integer", "float", "boolean", "null"
#: A file with more values, or with values at a greater depth, is none that a person wrote: aliases multiply.
MOST_VALUES, DEEPEST = 50_000, 40


@dataclass(frozen=True)
class Scalar:
    """``text`` as it was written; null has an empty one."""

    place: Place
    text: str
    kind: str = STRING


@dataclass(frozen=True)
class Sequence:
    """A list."""

    place: Place
    items: tuple[Value, ...]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Table:
    """A mapping; the place of an entry is the line of its key."""

    place: Place
    entries: Mapping[str, Value]

    def get(self, key: str) -> Value | None:
        """An entry; None also where its value is null."""
        value = self.entries.get(key)
        return None if value is None or is_null(value) else value

    def __len__(self) -> int:
        return len(self.entries)

    def items(self) -> Iterator[tuple[str, Value]]:
        """All entries, in the order of the file."""
        yield from self.entries.items()


Value = Union[Scalar, Sequence, Table]


def is_null(value: Value) -> bool:
    """Whether nothing is written there."""
    return isinstance(value, Scalar) and value.kind == NULL


def kind_of(value: Value) -> str:
    """What a value is, for a sentence."""
    if isinstance(value, Table):
        return "a mapping"
    if isinstance(value, Sequence):
        return "a list"
    return {STRING: "text", NULL: "empty", BOOLEAN: "a boolean"}.get(value.kind, "a number")


def moved(value: Value, place: Place) -> Value:
    """The value as if its keys led to ``place``; the lines stay those where it is written."""
    here = Place(value.place.file, value.place.line, place.path)
    if isinstance(value, Table):
        return Table(here, {key: moved(inner, here.key(key)) for key, inner in value.items()})
    if isinstance(value, Sequence):
        return Sequence(here, tuple(moved(inner, here.item(index)) for index, inner in enumerate(value.items)))
    return replace(value, place=here)


class Budget:
    """Counts the values of a tree. Raises ComposeError where it grows beyond what a person writes."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._left = MOST_VALUES

    def take(self, place: Place, depth: int) -> None:
        """One more value, ``depth`` levels below the top."""
        self._left -= 1
        if self._left < 0:
            self._problems.wrong(Place(place.file, place.line, ""), f"has more than {MOST_VALUES} values")
        if depth > DEEPEST:
            self._problems.wrong(Place(place.file, place.line, ""), f"is nested more than {DEEPEST} levels deep")
        if self._left < 0 or depth > DEEPEST:
            self._problems.raise_if_any()


def from_mapping(name: str, given: Mapping[Any, Any], problems: Problems) -> Table:
    """A Compose file that was given as a dictionary, whose values know no line. Raises ComposeError."""
    place = Place(name, 0, "")
    tree = _given(given, place, problems, Budget(problems), 0)
    return tree if isinstance(tree, Table) else Table(place, {})


def _given(value: Any, place: Place, problems: Problems, budget: Budget, depth: int) -> Value:
    budget.take(place, depth)
    if isinstance(value, Mapping):
        entries: dict[str, Value] = {}
        for key, inner in value.items():
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                problems.wrong(place, "a key is text; put it in quotes", key)
                continue
            entries[str(key)] = _given(inner, place.key(str(key)), problems, budget, depth + 1)
        return Table(place, entries)
    if isinstance(value, (list, tuple)):
        items = (_given(v, place.item(n), problems, budget, depth + 1) for n, v in enumerate(value))
        return Sequence(place, tuple(items))
    return _given_scalar(value, place, problems)


def _given_scalar(value: Any, place: Place, problems: Problems) -> Scalar:
    if value is None:
        return Scalar(place, "", NULL)
    if isinstance(value, bool):
        return Scalar(place, "true" if value else "false", BOOLEAN)
    if isinstance(value, str):
        return Scalar(place, str(value))
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 64:
        return Scalar(place, str(value), INTEGER)
    if isinstance(value, float):
        return Scalar(place, repr(value).removesuffix(".0"), FLOAT)
    problems.wrong(place, f"is {type(value).__name__}, which a Compose file cannot hold; put it in quotes")
    return Scalar(place, "", NULL)
