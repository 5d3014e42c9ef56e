# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run over many objects did, or would do, as the module returns it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.fold import Result
from .._core.operation import Plan
from .records import Entry


@dataclass
class Answer:
    """The results of the entries in their order, and of what goes with them (hosts files, the stack's record).

    ``done`` says whether anything was applied, or only planned.
    """

    entries: Sequence[Entry]
    results: Mapping[str, Result]
    left: Sequence[str]
    done: bool

    @property
    def failures(self) -> list[str]:
        """A line for each object that failed; those that were not tried for that come last."""
        options = {entry.key: entry.option for entry in self.entries}
        failed = [(key, found) for key, found in self._ordered() if found.error is not None]
        failed.sort(key=lambda each: each[1].skipped)
        return [f"{_place(options.get(key, ''), key)}: {found.error}" for key, found in failed]

    @property
    def errors(self) -> list[Exception]:
        """Of the objects that failed."""
        return [found.error for found in self.results.values() if found.error is not None]

    @property
    def message(self) -> str:
        """All failures, one a line."""
        failures = self.failures
        if len(failures) == 1:
            return failures[0]
        return "\n".join([f"{len(failures)} of {len(self.entries)} objects failed:", *failures])

    @property
    def warnings(self) -> list[str]:
        """Each once: many containers have the same to say of one host."""
        found = [warning for _key, result in self._ordered() for warning in result.warnings]
        return list(dict.fromkeys([*found, *self.left]))

    def values(self, diff: Callable[[Plan], Mapping[str, str]] | None) -> dict[str, Any]:
        """The module's result; ``diff`` makes Ansible's before and after of a plan, where that is asked for."""
        named = {entry.key for entry in self.entries}
        actions = [action for _key, found in self._ordered() for action in self._actions(found)]
        values: dict[str, Any] = {
            "changed": bool(actions),
            "actions": actions,
            "changes": [
                {"object": key, **vars(change)}
                for key, found in self._ordered()
                if self._actions(found)
                for change in found.plan.changes
            ],
            # Of a task that fails, all of this is shown: what went well would hide what did not.
            "objects": {
                key: self._object(found)
                for key, found in self._ordered()
                if key in named and (found.error is not None or not self.failures)
            },
        }
        if diff is not None:
            values["diff"] = [_section(key, diff(found.plan)) for key, found in self._ordered() if self._actions(found)]
        return values

    def _ordered(self) -> list[tuple[str, Result]]:
        keys = [entry.key for entry in self.entries if entry.key in self.results]
        # Its record, which is written first, comes last.
        others = sorted(self.results, key=lambda key: key.startswith("stack/"))
        return [(key, self.results[key]) for key in dict.fromkeys([*keys, *others])]

    def _actions(self, found: Result) -> list[str]:
        return found.done if self.done else found.plan.actions

    def _object(self, found: Result) -> dict[str, Any]:
        actions = self._actions(found)
        values = {
            "changed": bool(actions),
            "actions": actions,
            "changes": [vars(change) for change in found.plan.changes] if actions else [],
            **found.facts,
        }
        if found.error is not None:
            values.update(error=str(found.error), skipped=found.skipped)
        if found.undone:
            values["actions_undone"] = found.undone
        return values


def _place(option: str, key: str) -> str:
    return f"{option} ({key})" if option else key


def _section(key: str, diff: Mapping[str, str]) -> dict[str, str]:
    return {
        **diff,
        "before_header": f"{key}, {diff['before_header']}",
        "after_header": f"{key}, {diff['after_header']}",
    }
