# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of a list that are the options of another module: judged one by one, as that module would be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator


def judged(name: str, given: Sequence[Any], spec: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The entries as the module would get them, and what is wrong with them, each with the place of its entry.

    ``spec`` are the arguments of ArgumentSpecValidator.
    """
    validator = ArgumentSpecValidator(**spec)
    found, wrong = [], []
    for index, entry in enumerate(given):
        result = validator.validate(dict(entry))
        wrong += [f"{name}[{index}]: {message}" for message in result.error_messages]
        found.append(dict(result.validated_parameters))
    return found, wrong
