# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a Compose file is, what its project is called, and which variables it has.

Compose Specification, 03-compose-file.md, 04-version-and-name.md, 12-interpolation.md.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from . import parse, values
from .env_file import read_variables
from .errors import ComposeError, Place, Problems
from .reading import Reader
from .substitute import substituted
from .values import Table

#: In this order; 03-compose-file.md names the first.
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yml")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
#: Bytes of a file that is read: a Compose file, variables, a secret.
LARGEST = 1 << 20
#: How errors call a file that was given as a dictionary.
_GIVEN = "compose"


#: Reads a file of the controller for what is at that place; whether it must be there. None where there is none.
Read = Callable[[str, Place, bool], Optional[bytes]]


@dataclass(frozen=True)
class Project:
    """``tree`` has its variables replaced. ``directory`` is on the controller, None where there is none."""

    name: str
    tree: Table
    directory: str | None
    variables: Mapping[str, str]


def read_project(
    source: str | Mapping[str, Any], base: str | None, environment: Mapping[str, str], problems: Problems
) -> Project:
    """The file with its variables. Raises ComposeError for what is not a Compose file at all."""
    if isinstance(source, str):
        path = _found(os.path.join(base or "", os.path.expanduser(source)))
        directory: str | None = os.path.dirname(os.path.abspath(path))
        tree = parse.parse(path, _text(path), problems)
        _tell_of_overrides(path, problems)
    else:
        directory = None if base is None else os.path.abspath(base)
        tree = values.from_mapping(_GIVEN, source, problems)
    variables = {**_dot_env(directory, environment, problems), **environment}
    replaced = substituted(tree, variables, problems)
    tree = replaced if isinstance(replaced, Table) else tree
    return Project(_name(tree, directory, variables, problems), tree, directory, variables)


def _found(path: str) -> str:
    """The file itself, or the one in a directory."""
    if not os.path.isdir(path):
        return path
    for name in NAMES:
        if os.path.exists(os.path.join(path, name)):
            return os.path.join(path, name)
    raise ComposeError([f"{path}: the directory has none of {', '.join(NAMES)}"])


def _text(path: str) -> str:
    content, problem = read_file(path)
    if content is None:
        raise ComposeError([f"{path}: {problem}"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ComposeError([f"{Place(path, line, '')}: is not UTF-8"]) from None


def read_file(path: str) -> tuple[bytes | None, str]:
    """The content of a file of the controller, or why there is none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None, "is not a regular file"
        with open(path, "rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else str(error)
        return None, f"cannot be read on the controller: {why}"
    if len(content) > LARGEST:
        return None, f"has more than {LARGEST} bytes"
    return content, ""


def _tell_of_overrides(path: str, problems: Problems) -> None:
    beside = [os.path.join(os.path.dirname(path), name) for name in _OVERRIDES]
    for other in beside:
        if os.path.exists(other):
            problems.warn(Place(path, 0, ""), f"{other} is not read; write what it changes into the Compose file")


def _dot_env(directory: str | None, environment: Mapping[str, str], problems: Problems) -> dict[str, str]:
    """The variables of ``.env`` beside the file; those of the environment win."""
    path = None if directory is None else os.path.join(directory, ".env")
    if path is None or not os.path.exists(path):
        return {}
    content, problem = read_file(path)
    if content is None:
        problems.wrong(Place(path, 0, ""), problem)
        return {}
    return read_variables(path, content.decode("utf-8-sig", "replace"), environment, problems)


def _name(tree: Table, directory: str | None, variables: Mapping[str, str], problems: Problems) -> str:
    """COMPOSE_PROJECT_NAME, else ``name``, else the directory's name in what letters a project's name has."""
    given = tree.get("name")
    asked = variables.get("COMPOSE_PROJECT_NAME") or Reader(problems).text(given)
    place = tree.place.key("name") if given is None else given.place
    if asked is not None:
        if not _PROJECT.fullmatch(asked):
            why = "use lower-case letters, digits, '-' and '_', beginning with a letter or digit"
            problems.wrong(place, why, asked)
            return "project"
        return asked
    plain = re.sub(r"[^a-z0-9_-]", "", os.path.basename(directory or "").lower()).lstrip("_-")
    if not plain:
        problems.wrong(place, "is not set, and no directory's name can stand for it; set name")
    return plain or "project"
