# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the command line: a small parser, as argparse alone costs as much as starting a container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import RuntimeFailure

#: A flag takes no value, a value option one, a list option may come again.
FLAG, VALUE, LIST = "flag", "value", "list"


class Options:
    """What was given: ``value``, ``flag`` and ``list`` by the option's long name; the rest in ``arguments``."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.arguments: list[str] = []

    def value(self, name: str, default: str | None = None) -> str | None:
        return self.values[name][-1] if self.values.get(name) else default

    def flag(self, name: str) -> bool:
        return self.values.get(name, ["false"])[-1] != "false"

    def list(self, name: str) -> list[str]:
        return self.values.get(name, [])


class HelpAsked(Exception):
    """--help was among the options."""


def parse(
    arguments: Sequence[str], known: Mapping[str, str], short: Mapping[str, str], stop_at_first: bool = False
) -> Options:
    """Options in the forms --name value, --name=value, -n value, -abn value (a and b being flags).

    One hyphen before a long name is understood too, as by runc.

    known: long name -> FLAG, VALUE or LIST. stop_at_first: everything after the first argument is not looked at.
    Raises RuntimeFailure for what is not known, HelpAsked.
    """
    found, rest = Options(), list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            found.arguments += rest
            break
        if not word.startswith("-") or word == "-":
            found.arguments.append(word)
            if stop_at_first:
                found.arguments += rest
                break
            continue
        name, equals, given = word.lstrip("-").partition("=")
        if not word.startswith("--") and _are_short(name, known, short):
            rest[:0] = [f"-{letter}" for letter in name[1:]]
            name, equals = name[0], ""
        name = short.get(name, name)
        if name in ("help", "h") and "help" not in known:
            raise HelpAsked
        kind = known.get(name)
        if kind is None:
            raise RuntimeFailure(f"option {word!r} is not known", 64)
        if kind == FLAG:
            found.values.setdefault(name, []).append(given if equals else "true")
            continue
        if not equals:
            if not rest:
                raise RuntimeFailure(f"option {word!r} needs a value", 64)
            given = rest.pop(0)
        found.values.setdefault(name, []).append(given)
    return found


def _are_short(name: str, known: Mapping[str, str], short: Mapping[str, str]) -> bool:
    """Whether these letters are options each, of which only the last may take a value."""
    kinds = [known.get(short.get(letter, letter)) for letter in name]
    return len(name) > 1 and name not in known and None not in kinds and set(kinds[:-1]) == {FLAG}
