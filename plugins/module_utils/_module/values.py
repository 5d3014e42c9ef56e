# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that no option can have, whatever it is: found by the argument spec alone. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .._core.resource import OptionError

_LONE_SURROGATES = range(0xD800, 0xDC80)
_MOST_BITS = 128


def check(params: Mapping[str, Any]) -> None:
    """Raises OptionError for text that no file, path or argument of the host can hold, and for endless numbers.

    Half of a surrogate pair is not a character. U+DC80 to U+DCFF stand for bytes that are not UTF-8 (os.fsdecode).
    Python does not even print a number of thousands of digits (sys.set_int_max_str_digits).
    """
    for option, value in _leaves("", params):
        if isinstance(value, str):
            if not value.isascii() and any(ord(character) in _LONE_SURROGATES for character in value):
                raise OptionError(option, "a text", "holds half of a surrogate pair, which is not a character")
        elif value.bit_length() > _MOST_BITS:
            raise OptionError(option, value, "is larger than any number that the kernel knows")


def _leaves(option: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every text and whole number in a value, names in dictionaries included, with the option that it is in."""
    if isinstance(value, (str, int)):
        yield option, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if option:
                yield from _leaves(option, name)
            yield from _leaves(f"{option}.{name}" if option else str(name), inner)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _leaves(f"{option}[{index}]", inner)


def misfit(spec: Mapping[str, Any], params: Mapping[str, Any], above: str = "") -> tuple[str, str] | None:
    """The first option whose value Ansible's own checks end in a traceback on, and what it must be; None without one.

    They look for suboptions in what is not a dictionary, and convert infinity to a whole number and a huge number to a
    float (ansible.module_utils.common.parameters, validation).
    """
    for name, option in spec.items():
        given = params.get(name)
        places = [(above + name, option, given)]
        if option.get("type") == "list":
            element = {**option, "type": option.get("elements", "raw")}
            several = isinstance(given, list)  # Ansible makes a list of one of anything else
            listed = given if isinstance(given, list) else [given]
            places = [(f"{above}{name}[{i}]" if several else above + name, element, v) for i, v in enumerate(listed)]
        for place in places:
            if (found := _misfit(*place)) is not None:
                return found
    return None


def _misfit(name: str, option: Mapping[str, Any], value: Any) -> tuple[str, str] | None:
    kind, inner = option.get("type", "str"), option.get("options")
    if kind == "dict" and inner and isinstance(value, Mapping):
        return misfit(inner, value, name + ".")
    if kind == "dict" and inner and value is not None and not isinstance(value, str):
        return name, "must be a dictionary"
    if kind in ("int", "float") and value is not None and not isinstance(value, bool) and not _finite(value):
        return name, "must be a whole number" if kind == "int" else "must be a number"
    return None


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
    except (TypeError, ValueError):
        return True  # for Ansible to judge
