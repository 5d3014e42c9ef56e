# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines from the inventory: present (those of $SCENARIO), absent, or power-cycled (QEMU ended and started again)."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.barekernel.containers.tests.vm import instances, scenarios
from ansible_collections.barekernel.containers.tests.vm.errors import VmError
from ansible_collections.barekernel.containers.tests.vm.record import Wanted


class ActionModule(ActionBase):
    """Runs on the controller, where a module could show nothing before it ends."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        names = self._task.args.get("names") or []
        try:
            changed = getattr(self, self._task.args["state"])(names, task_vars)
        except VmError as error:
            raise AnsibleActionFail(str(error)) from error
        return {**result, "changed": changed}

    def present(self, _names, task_vars):
        names = scenarios.machines(os.environ.get("SCENARIO", ""))
        wanted = [Wanted(name=name, **task_vars["hostvars"][name]["vm"]) for name in names]
        return instances.present(wanted, self._display.display)[0]

    def absent(self, names, _task_vars):
        return instances.absent(self._display.display, names)

    def power_cycled(self, names, _task_vars):
        return bool([instances.power_cycle(name, self._display.display) for name in names])
