# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes each result of the collection's modules to $BAREKERNEL_RECORD, one JSON document a line."""

from __future__ import annotations

DOCUMENTATION = """
name: recorder
type: notification
short_description: Records what the collection's modules were asked and answered
description: For the tests.
"""

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

NAMESPACE = "barekernel.containers."


class CallbackModule(CallbackBase):
    """One line a module call; of a loop, one line an item."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorder"

    def _record(self, result: Any) -> None:
        action = result._task.resolved_action or result._task.action
        if not action.startswith(NAMESPACE) or "results" in result._result:
            return
        answer = {key: value for key, value in result._result.items() if not key.startswith("_")}
        line = {
            "module": action[len(NAMESPACE) :],
            "host": result._host.get_name(),
            "params": (answer.pop("invocation", None) or {}).get("module_args"),
            "result": answer,
        }
        with open(os.environ["BAREKERNEL_RECORD"], "a", encoding="utf-8") as record:
            record.write(json.dumps(line, default=str) + "\n")

    v2_runner_on_ok = v2_runner_item_on_ok = _record

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._record(result)

    v2_runner_item_on_failed = _record
