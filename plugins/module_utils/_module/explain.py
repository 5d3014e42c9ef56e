# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with parameters that an argument spec rejects, by the full name of the option. Pure.

Ansible says that ``ports`` is unsupported and lists all options there are. Whoever wrote it meant something: most often
what Docker or Compose call so (words.py), or a name with a letter too few.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .secrets import is_secret
from .words import words_of

_MOST = 5


def explain(module: str, params: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """One line for each thing that is wrong; empty where nothing is that this knows of.

    ``module`` is the module's name without its namespace.
    """
    words = words_of(module)
    found = []
    for option, value, problem, advice in _problems(params, spec, words, ""):
        told = "" if not isinstance(value, (str, int, float)) or is_secret(option, spec) else f" {_short(value)}:"
        found.append(f"{option}:{told} {problem}" + (f"; {advice}" if advice else ""))
    more = len(found) - _MOST
    return "\n".join(found[:_MOST] + ([f"and {more} more"] if more > 0 else []))


#: Full name, value (None where it says nothing, or may be secret), what is wrong, what to do.
_Problem = tuple[str, Any, str, str]


def _problems(
    params: Mapping[str, Any], spec: Mapping[str, Any], words: Mapping[str, str], path: str
) -> Iterator[_Problem]:
    known = {alias for name, option in spec.items() for alias in (name, *option.get("aliases", ()))}
    for name in sorted(map(str, params)):
        if name not in known:
            yield path + name, None, "there is no such option", _meant(name, known, words, _general(path))
    for name, option in spec.items():
        value = next((params[n] for n in (name, *option.get("aliases", ())) if params.get(n) is not None), None)
        if value is None:
            if option.get("required") and option.get("default") is None:
                yield path + name, None, "is required", ""
            continue
        yield from _wrong(path + name, value, option, words)


def _wrong(full: str, value: Any, option: Mapping[str, Any], words: Mapping[str, str]) -> Iterator[_Problem]:
    kind, inner, choices = option.get("type", "str"), option.get("options"), option.get("choices")
    advice = words.get(_general(full) + "=", "")
    # What should have been a dictionary may be one with secrets, written in another way.
    told = None if any(each.get("no_log") for each in (inner or {}).values()) else value
    if kind == "dict" and not _is_dictionary(value):
        yield full, told, "must be a dictionary", advice
    elif kind == "list" and isinstance(value, Mapping):
        yield full, told, "must be a list", advice
    elif kind == "list" and option.get("elements") == "dict":
        for index, each in enumerate(value if isinstance(value, list) else [value]):
            if not _is_dictionary(each):
                yield f"{full}[{index}]", told and each, "must be a dictionary", words.get(_general(full) + "[]=", "")
            elif inner and isinstance(each, Mapping):
                yield from _problems(each, inner, words, f"{full}[{index}].")
    elif kind == "dict" and inner and isinstance(value, Mapping):
        yield from _problems(value, inner, words, f"{full}.")
    elif choices and kind == "str" and not _is_choice(value, choices):
        word = str(value).lower() if isinstance(value, bool) else str(value)
        meant = words.get(f"{_general(full)}={word}") or _near(word, map(str, choices))
        yield full, value, f"must be {_or(choices)}", meant


def _is_choice(value: Any, choices: Sequence[Any]) -> bool:
    """Also ``off`` and its like, of which YAML makes a boolean and Ansible the choice again."""
    if isinstance(value, bool):
        return any(str(choice) in (("on", "yes") if value else ("off", "no")) for choice in choices)
    return str(value) in map(str, choices)


def _meant(name: str, known: set[str], words: Mapping[str, str], path: str) -> str:
    return words.get(path + name) or _near(name, known) or f"there are {_some(known)}"


def _near(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else ""


def _is_dictionary(value: Any) -> bool:
    """What Ansible takes for one: also JSON, and text such as ``a=1 b=2``."""
    return isinstance(value, Mapping) or isinstance(value, str) and (value.startswith("{") or "=" in value)


def _general(path: str) -> str:
    """``networks[3].name`` as ``networks[].name``, which is how words.py names it."""
    return "".join("[]" + part.partition("]")[2] if i else part for i, part in enumerate(path.split("[")))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _or(choices: Any) -> str:
    *most, last = map(str, choices)
    return f"{', '.join(most)} or {last}" if most else last


def _some(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_MOST]) + (f" and {len(listed) - _MOST} more" if len(listed) > _MOST else "")
