# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of variables: ``.env`` beside a Compose file, and ``env_file`` of a service.

Compose Specification, services, "env_file", "Env_file format": VAR=VAL a line, ``#`` begins a comment, an unquoted or
double-quoted value has variables, a single-quoted one is literal, a quoted one may go on over several lines.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping

from .errors import Place, Problems
from .substitute import BadTemplate, expanded

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=#'\"]+)[ \t]*(=?)[ \t]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SINGLE = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "$": "$$"}
_COMMENT = re.compile(r"(?:^|\s)#.*")


def read_variables(
    file: str, text: str, variables: Mapping[str, str], problems: Problems, raw: bool = False
) -> dict[str, str]:
    """The variables of a file. ``variables`` are those known otherwise: they win where the file refers to one, and a
    name without a value is one of them or is left out. ``raw`` takes everything behind ``=`` as it is."""
    found: dict[str, str] = {}
    known = ChainMap(dict(variables), found)
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        place = Place(file, index + 1, "")
        line = lines[index].rstrip("\r")
        index += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or not _NAME.fullmatch(match[1]):
            problems.wrong(place, "write NAME=VALUE; a name has letters, digits, '_', '.' and '-'")
            continue
        name, rest = match[1], line[match.end() :]
        if not match[2]:
            if _COMMENT.sub("", rest).strip():
                problems.wrong(place, "write NAME=VALUE")
            elif name in known:
                found[name] = known[name]
            continue
        if raw:
            found[name] = rest
            continue
        if rest[:1] in ("'", '"'):
            more = _quoted("\n".join([rest, *lines[index:]]))
            if more is None:
                problems.wrong(place, f"the quote that begins the value of {name} is never closed")
                return found
            index += more[2]
            template, literal = more[0], rest[0] == "'"
        else:
            template, literal = _COMMENT.sub("", rest).rstrip(), False
        try:
            found[name] = template if literal else expanded(template, known)
        except BadTemplate as error:
            problems.wrong(place, f"{name}: {error}")
    return found


def _quoted(text: str) -> tuple[str, str, int] | None:
    """The value in quotes at the beginning of ``text``, what follows it, and how many line ends it holds."""
    match = (_SINGLE if text[0] == "'" else _DOUBLE).match(text)
    if match is None:
        return None
    inner = match[1]
    if text[0] == "'":
        value = inner.replace("\\'", "'")
    else:
        value = _ESCAPED.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), inner)
    return value, text[match.end() :], inner.count("\n")
