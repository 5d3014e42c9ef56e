# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner tells whatever a resource raises, and never ends in a traceback of ours."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.barekernel.containers.plugins.module_utils._core.converge import Interrupted, NotConverged
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import (
    CommandFailed,
    Needed,
    OptionError,
    Refused,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.operation import Operation, Plan
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._module import runner
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import RuntimeFailure


class Failing:
    name = "failing"
    needs_root = False

    def __init__(self, error: Exception) -> None:
        self.error = error

    def desired(self, params: Any) -> None:
        raise self.error

    gather = desired


class Step(Operation):
    def describe(self) -> str:
        return "stop container web"


STEP = Step()
TOLD: list[tuple[Exception, dict[str, Any]]] = [
    (OptionError("env", "x", "is no"), {"changed": False, "actions": [], "option": "env"}),
    (Refused("no"), {"changed": False, "actions": []}),
    (Interrupted(STEP, OSError("no"), [], []), {"changed": False, "actions": []}),
    (Interrupted(STEP, OSError("no"), [], ["a"]), {"changed": False, "actions": [], "actions_undone": ["a"]}),
    (Interrupted(STEP, OSError("no"), ["a", "b"], []), {"changed": True, "actions": ["a", "b"]}),
    (NotConverged("no", ["a"]), {"changed": True, "actions": ["a"]}),
    (CommandFailed("no", {"rc": 3}), {"changed": False, "actions": [], "rc": 3}),
]


def answer_to(run: Any, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: Any, **params: Any) -> Any:
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": params}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        run(Failing(error), argument_spec={})
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("error", "told"), TOLD, ids=lambda value: type(value).__name__)
def test_a_failure_says_whether_anything_was_changed_and_what(
    error: Exception, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    answer = answer_to(runner.run, error, monkeypatch, capsys)
    assert answer["failed"]
    assert {key: answer[key] for key in answer if key not in ("failed", "msg", "invocation")} == told


def test_what_is_done_to_an_object_as_declared_is_in_the_diff() -> None:
    same = {"state": "running"}
    diff = runner.diff(Plan((STEP,), same, same))
    assert json.loads(diff["before"]) == {**same, "to_do": ["stop container web"]} and json.loads(diff["after"]) == same
    assert "to_do" not in runner.diff(Plan((STEP,), same, {"state": "stopped"}))["before"]
    assert runner.diff(Plan((), same, same))["before"] == runner.diff(Plan((), same, same))["after"]


@pytest.mark.parametrize("run", [runner.run, runner.run_info])
@pytest.mark.parametrize(
    ("error", "msg"),
    [
        (ImageError("blob x is damaged", "Run oci_image with verify"), "blob x is damaged. Run oci_image with verify"),
        (RuntimeFailure("no"), "no"),
    ],
)
def test_errors_of_the_libraries_are_failures(
    error: Exception, msg: str, run: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    answer = answer_to(run, error, monkeypatch, capsys)
    assert answer["failed"] and answer["msg"] == msg


def test_what_has_to_be_brought_is_a_result_for_one_who_brings_it(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    error = Needed("image app has to be handed over", {"images": {"app": {}}})
    answer = answer_to(runner.run, error, monkeypatch, capsys)
    assert answer["failed"] and answer["msg"] == str(error) and "needs" not in answer
    run = partial(runner.run, internal={"handed_over": {"type": "dict"}})
    answer = answer_to(run, error, monkeypatch, capsys, handed_over={})
    assert "failed" not in answer and answer["changed"] is False and answer["needs"] == error.needs


@pytest.mark.parametrize(
    ("params", "option", "words"),
    [
        ({"group": True}, "group", "must be a dictionary"),
        ({"group": 0}, "group", "must be a dictionary"),
        ({"group": {"size": "inf"}}, "group.size", "must be a whole number"),
        ({"group": {"many": [1, "Infinity"]}}, "group.many[1]", "must be a whole number"),
        ({"group": {"name": "a\ud800"}}, "group.name", "holds half of a surrogate pair"),
        ({"group": {"any": {"\ud800": 1}}}, "group.any", "holds half of a surrogate pair"),
        ({"group": {"size": 10**400}}, "group.size", "larger than any number"),
    ],
)
@pytest.mark.parametrize("run", [runner.run, runner.run_info])
def test_what_no_option_can_have_is_refused_by_name(
    params: Any, option: str, words: str, run: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Ansible's own checks end in a traceback on some of it."""
    inner = {
        "size": {"type": "int"},
        "name": {"type": "str"},
        "many": {"type": "list", "elements": "int"},
        "any": {"type": "dict"},
    }
    raw = json.dumps({"ANSIBLE_MODULE_ARGS": params}).encode()
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", raw)
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        run(Failing(AssertionError("desired was asked")), argument_spec={"group": {"type": "dict", "options": inner}})
    answer = json.loads(capsys.readouterr().out)
    assert answer["failed"] and answer["option"] == option and answer["msg"].startswith(option + ": ")
    assert words in answer["msg"]
