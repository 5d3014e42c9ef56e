# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How paths are written in systemd's unit files, systemd.syntax(7) and systemd.unit(5). Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable


def specifiers(text: str) -> str:
    """The text where systemd expands specifiers."""
    return text.replace("%", "%%")


def quoted(text: str) -> str:
    """One word of a list, with specifiers."""
    return '"' + specifiers(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def requires_mounts_for(paths: Iterable[str]) -> list[str]:
    """The lines that have systemd mount, before a unit starts, all that leads to these absolute paths and has a unit.

    A setting is one line of UTF-8. Of a path that holds a control character or other bytes, what is above that name.
    """
    named = {_expressible(path) for path in paths}
    # What leads to a path leads to what is above it.
    longest = sorted(path for path in named if not any(other.startswith(path.rstrip("/") + "/") for other in named))
    return [f"RequiresMountsFor={quoted(path)}" for path in longest if path != "/"]


def _expressible(path: str) -> str:
    names: list[str] = []
    for name in path.split("/"):
        if any(ord(character) < 32 or ord(character) == 127 or "\ud800" <= character <= "\udfff" for character in name):
            break
        names.append(name)
    return posixpath.normpath("/" + "/".join(names).lstrip("/"))
