# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON values that must be of a kind; each raises BundleError with the property's name."""

from __future__ import annotations

from typing import Any

from ..errors import BundleError


def obj(prop: str, value: Any) -> dict[str, Any]:
    """A JSON object. Raises BundleError."""
    if not isinstance(value, dict):
        raise BundleError(prop, value, "must be an object")
    return value


def text(prop: str, value: Any, empty: bool = False) -> str:
    """A string that a system call can take. Raises BundleError."""
    if not isinstance(value, str) or not (value or empty) or "\0" in value:
        raise BundleError(prop, value, "must be a non-empty string without NUL")
    return value


def integer(prop: str, value: Any) -> int:
    """A JSON integer. Raises BundleError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BundleError(prop, value, "must be an integer")
    return value


def absolute(prop: str, value: Any) -> str:
    """An absolute path. Raises BundleError."""
    if not text(prop, value).startswith("/"):
        raise BundleError(prop, value, "must be an absolute path")
    return str(value)
