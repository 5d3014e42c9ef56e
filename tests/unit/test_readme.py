# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the README shows is what the modules accept."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from tests import collection

pytestmark = pytest.mark.once

README = (collection.CHECKOUT / "README.md").read_text()
TASKS: list[dict[str, Any]] = [
    task
    for block in re.findall(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for task in yaml.safe_load(block)
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["name"])
def test_its_tasks_are_accepted(task: dict[str, Any]) -> None:
    ((module, params),) = [(key, value) for key, value in task.items() if key != "name"]
    arguments = collection.module_arguments(module.rpartition(".")[2])
    assert ArgumentSpecValidator(arguments["argument_spec"]).validate(params).error_messages == []


def test_it_names_every_module() -> None:
    named = set(re.findall(r"`([a-z_0-9]+)`", README))
    assert set(collection.changing_modules()) <= named
