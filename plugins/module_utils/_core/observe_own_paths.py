# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths that options name, against the directories that this collection keeps for itself."""

from __future__ import annotations

import os
from typing import Any

from .._kernel import locations
from .errors import OptionError
from .paths import inside


def why_ours(path: str | bytes) -> str:
    """Why nobody but this collection is to write at a path, wherever links lead; empty where anybody may."""
    real = os.path.realpath(os.fsencode(path))
    for home in (locations.STATE, locations.RUN):
        if inside(real, os.path.realpath(os.fsencode(home))) or inside(
            os.path.normpath(os.fsencode(path)), home.encode()
        ):
            return f"is in {home}, which this collection keeps for itself: choose another place"
    return ""


def refuse_ours(option: str, given: Any, path: str | bytes) -> None:
    """Raises OptionError where only this collection is to write at that path."""
    if why := why_ours(path):
        raise OptionError(option, given, why)
