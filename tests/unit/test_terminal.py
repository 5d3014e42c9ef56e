# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What comes from images, containers, builds and registries cannot steer the terminal of whoever reads it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.barekernel.containers.plugins.module_utils._core.operation import Operation, Plan
from ansible_collections.barekernel.containers.plugins.module_utils._core.resource import Resource
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.terminal import shown, shown_line
from ansible_collections.barekernel.containers.plugins.module_utils._module import runner
from hypothesis import given
from hypothesis import strategies as st

#: Sets the title, moves up, overwrites a line, C1's CSI, and turns the line round.
HOSTILE = "a\x1b]0;title\x07\x1b[3Ab\rc\x9b2J\u202ed\x7f\u2028"
HARMLESS = r"a\x1b]0;title\x07\x1b[3Ab\rc\x9b2J\u202ed\x7f\u2028"


@given(st.text())
def test_nothing_but_printable_text_is_shown(text: str) -> None:
    for result in (shown(text), shown_line(text)):
        assert all(each.isprintable() or each in "\n\t\u00a0\u202f\u3000" for each in result)
        result.encode()
    assert "\n" not in shown_line(text)
    if text.isprintable():
        assert shown(text) == shown_line(text) == text


def test_what_people_write_stays_as_it_is() -> None:
    for text in ("Grüße, 日本, 12\u00a0MB 🙂", "two\nlines\twith a tab"):
        assert shown(text) == text
    assert shown(os.fsdecode(b"caf\xe9")) == r"caf\xe9" and shown(HOSTILE) == HARMLESS
    assert shown_line("a\nb") == r"a\nb"


class Odd(Resource[Any, Any]):
    """A resource that finds odd text everywhere."""

    name = "odd"
    needs_root = False

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def desired(self, params: Any) -> None:
        if self.fails:
            raise ImageError(f"label {HOSTILE}")

    def locks(self, desired: Any) -> tuple[str, ...]:
        return ()

    def observe(self, desired: Any, world: Any) -> None:
        return None

    def plan(self, desired: Any, observed: Any) -> Plan:
        class Pull(Operation):
            def describe(self) -> str:
                return f"pull {HOSTILE}"

        return Plan((Pull(),), {"label": HOSTILE}, {"label": "日本"}, (), (f"warning {HOSTILE}",))

    def facts(self, desired: Any, observed: Any) -> dict[str, Any]:
        return {"stdout": HOSTILE}


@pytest.mark.parametrize("fails", [True, False])
def test_what_a_module_says_is_harmless_and_its_data_are_data(
    fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    arguments = {"_ansible_check_mode": True, "_ansible_diff": True}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    monkeypatch.setattr(basic, "_load_params", lambda: dict(arguments))
    with pytest.raises(SystemExit):
        runner.run(Odd(fails), argument_spec={})
    answer = json.loads(capsys.readouterr().out)
    if fails:
        assert answer["msg"] == f"label {HARMLESS}"
        return
    assert answer["actions"] == [f"pull {HARMLESS}"] and answer["stdout"] == HOSTILE
    warnings = json.dumps(answer["warnings"], ensure_ascii=False)
    assert json.dumps(HARMLESS)[1:-1] in warnings and warnings.isprintable()
    assert "日本" in answer["diff"]["after"] and answer["diff"]["before"].replace("\n", "").isprintable()
