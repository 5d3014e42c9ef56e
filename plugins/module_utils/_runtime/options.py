"""Options of the command line: a small parser, as argparse alone costs as much as starting a container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .errors import RuntimeFailure

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


def parse(
    arguments: Sequence[str], known: Mapping[str, str], short: Mapping[str, str], stop_at_first: bool = False
) -> Options:
    """Options in the forms --name value, --name=value, -n value (one hyphen before a long name too, as runc allows).

    known: long name -> FLAG, VALUE or LIST. stop_at_first: everything after the first argument is not looked at.
    Raises RuntimeFailure for what is not known.
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
        name = short.get(name, name)
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
