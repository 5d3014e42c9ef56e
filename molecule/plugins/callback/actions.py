# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes down what each task did or would do (actions, changes), and what was told, for the verifier to compare."""

from __future__ import annotations

import json
import os

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: actions
type: notification
short_description: Records the actions and warnings of each task, and the messages of M(ansible.builtin.debug)
description:
  - Writes C(actions-MODE.json), C(told-MODE.json) and C(warned-MODE.json) into Molecule's ephemeral directory, where
    MODE is C(check) or C(apply). A run that changed nothing leaves what the one before it wrote.
"""


class CallbackModule(CallbackBase):
    """A list of {host, task, item, actions, changes}, in order, of every result that has actions.

    The items of a stack are its objects, by their names.

    And two of {host, task, msg}, of what was told and of what was warned of.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "actions"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.seen = []
        self.told = []
        self.warned = []

    def v2_runner_on_ok(self, result):
        if "results" not in result._result:
            self.note(result)

    def v2_runner_item_on_ok(self, result):
        self.note(result)

    def note(self, result):
        answer = result._result
        entry = {"host": result._host.get_name(), "task": result._task.get_name()}
        if result._task.action in ("debug", "ansible.builtin.debug") and "msg" in answer:
            self.told.append({**entry, "msg": answer["msg"]})
        self.warned += [{**entry, "msg": str(warning)} for warning in answer.get("warnings") or ()]
        if "actions" in answer:
            alone = {str(answer.get("_ansible_item_label", "")): answer}
            for item, one in answer.get("objects", alone).items():
                did = {"changed": one["changed"], "actions": one["actions"], "changes": one.get("changes", [])}
                self.seen.append({**entry, "item": item.rpartition("/")[2], **did})

    def v2_playbook_on_stats(self, stats):
        directory = os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY")
        mode = "check" if context.CLIARGS["check"] else "apply"
        if directory and any(entry["changed"] for entry in self.seen):
            for kind, entries in (("actions", self.seen), ("told", self.told), ("warned", self.warned)):
                with open(os.path.join(directory, f"{kind}-{mode}.json"), "w", encoding="utf-8") as stream:
                    json.dump(entries, stream, indent=1)
