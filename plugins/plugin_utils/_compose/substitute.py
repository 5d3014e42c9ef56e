# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables in a Compose file: ``$NAME``, ``${NAME}`` and the forms with a default, an error or a replacement.

Compose Specification, "Interpolation" (12-interpolation.md): values are substituted, keys are not; ``$$`` is a dollar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Union

from .errors import Place, Problems
from .values import STRING, Scalar, Sequence, Table, Value

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_DEEPEST = 20


class BadTemplate(ValueError):
    """A ``$`` that introduces no variable, or a variable that must be set and is not; the message says which."""


@dataclass(frozen=True)
class _Variable:
    """``word`` is what stands behind the operator."""

    name: str
    operator: str = ""
    word: tuple[str | _Variable, ...] = ()


_Parts = tuple[Union[str, _Variable], ...]


def expanded(template: str, variables: Mapping[str, str], unset: Callable[[str], None] = lambda _name: None) -> str:
    """The text with its variables replaced; ``unset`` hears of each that has no value and no default.

    Raises BadTemplate.
    """
    if "$" not in template:
        return template
    parts, _end = _parse(template, 0, 0)
    return _text(parts, variables, unset)


def _parse(template: str, at: int, depth: int) -> tuple[_Parts, int]:
    """The parts from ``at`` on, up to the brace that closes ``depth``, and where they end."""
    if depth > _DEEPEST:
        raise BadTemplate(f"variables are nested more than {_DEEPEST} levels deep")
    parts: list[str | _Variable] = []
    while at < len(template):
        stop = _next(template, at, depth)
        parts.append(template[at:stop])
        at = stop
        if at == len(template) or template[at] == "}":
            break
        part, at = _variable(template, at + 1, depth)
        parts.append(part)
    return tuple(parts), at


def _next(template: str, at: int, depth: int) -> int:
    """Where the next variable begins, or in braces their end."""
    found = [template.find("$", at), template.find("}", at) if depth else -1]
    return min((place for place in found if place >= 0), default=len(template))


def _variable(template: str, at: int, depth: int) -> tuple[str | _Variable, int]:
    """What follows a dollar, and where it ends."""
    following = template[at : at + 1]
    if following == "$":
        return "$", at + 1
    braced = following == "{"
    name = _NAME.match(template, at + braced)
    if name is None:
        raise BadTemplate("a '$' is followed by no variable's name; write $$ to mean a dollar")
    if not braced:
        return _Variable(name.group()), name.end()
    operator = _OPERATOR.match(template, name.end())
    word, end = _parse(template, operator.end(), depth + 1) if operator else ((), name.end())
    if template[end : end + 1] != "}":
        raise BadTemplate(
            f"${{{name.group()} is not closed; write ${{NAME}}, or ${{NAME:-DEFAULT}} with one of :- - :? ? :+ +"
        )
    return _Variable(name.group(), operator.group() if operator else "", word), end + 1


def _text(parts: _Parts, variables: Mapping[str, str], unset: Callable[[str], None]) -> str:
    return "".join(part if isinstance(part, str) else _value(part, variables, unset) for part in parts)


def _value(variable: _Variable, variables: Mapping[str, str], unset: Callable[[str], None]) -> str:
    value = variables.get(variable.name)
    if not variable.operator:
        if value is None:
            unset(variable.name)
        return value or ""
    present = bool(value) if variable.operator[0] == ":" else value is not None
    kind = variable.operator[-1]
    if kind == "+":
        return _text(variable.word, variables, unset) if present else ""
    if present:
        return value or ""
    word = _text(variable.word, variables, unset)
    if kind == "?":
        how = "is not set" if value is None else "is empty"
        raise BadTemplate(f"the variable {variable.name} {how}" + (f": {word}" if word else ""))
    return word


def substituted(value: Value, variables: Mapping[str, str], problems: Problems) -> Value:
    """The tree with every variable in its values replaced; each that is not set is named once, in a warning."""
    seen: set[str] = set()

    def unset(place: Place) -> Callable[[str], None]:
        def hear(name: str) -> None:
            if name not in seen:
                problems.warn(place, f"the variable {name} is not set, and is taken as empty")
            seen.add(name)

        return hear

    def of(inner: Value) -> Value:
        if isinstance(inner, Table):
            return Table(inner.place, {key: of(entry) for key, entry in inner.items()})
        if isinstance(inner, Sequence):
            return Sequence(inner.place, tuple(of(item) for item in inner.items))
        if inner.kind != STRING or "$" not in inner.text:
            return inner
        try:
            return Scalar(inner.place, expanded(inner.text, variables, unset(inner.place)))
        except BadTemplate as error:
            problems.wrong(inner.place, str(error))
            return Scalar(inner.place, "")

    return of(value)
