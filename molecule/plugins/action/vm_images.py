# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the images that the machines of $SCENARIO boot from, and take snapshots of them once booted."""

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
        try:
            names = scenarios.machines(os.environ.get("SCENARIO", ""))
            wanted = [Wanted(name=name, **task_vars["hostvars"][name]["vm"]) for name in names]
            made = instances.prepare(wanted, self._display.display)
        except VmError as error:
            raise AnsibleActionFail(str(error)) from error
        return {**result, "changed": made}
