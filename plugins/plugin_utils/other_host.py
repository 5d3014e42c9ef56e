# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another host of the inventory than the task's, over a connection of its own."""

from __future__ import annotations

import os
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import become_loader, connection_loader
from ansible.template import Templar

from ..module_utils._kernel.terminal import shown


class OtherHost(ActionBase):
    """What an action plugin can do with a host, on the one that ``delegate_to`` names in ``task``.

    The connection is made as Ansible makes it for delegate_to: by the host's variables, then the task's keywords.
    """

    def __init__(self, action: ActionBase, host: str, task_vars: dict[str, Any]) -> None:
        if host not in task_vars["hostvars"]:
            raise AnsibleActionFail(f"seed: there is no host {host} in the inventory")
        self.host = host
        task = action._task.copy()
        task.delegate_to, task.async_val = host, 0
        variables = dict(task_vars["hostvars"].raw_get(host))
        templar = Templar(loader=action._loader, variables=variables)
        for name, value in variables.items():
            if name.startswith("ansible_") and isinstance(value, str):
                variables[name] = templar.template(value)
        variables.setdefault("ansible_host", host)
        variables.setdefault("ansible_facts", {})
        self._vars = {**task_vars, "ansible_delegated_vars": {host: variables}}
        context = action._play_context.set_task_and_variable_override(task=task, variables=self._vars, templar=templar)
        super().__init__(
            task=task,
            connection=_connection(task, context, variables),
            play_context=context,
            loader=action._loader,
            templar=templar,
            shared_loader_obj=action._shared_loader_obj,
        )

    def module(self, name: str, arguments: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
        """The result of a module of this collection. Raises AnsibleActionFail."""
        self._task.check_mode, self._task.diff = check_mode, False
        try:
            result = self._execute_module(
                module_name=f"barekernel.containers.{name}", module_args=arguments, task_vars=self._vars
            )
        except AnsibleConnectionFailure as error:
            raise AnsibleActionFail(f"seed {self.host} cannot be reached: {error}") from error
        if result.get("failed"):
            raise AnsibleActionFail(shown(f"seed {self.host}: {result.get('msg') or result}"))
        return dict(result)

    def directory(self) -> str:
        """A temporary directory there, which goes with close(). Raises AnsibleActionFail."""
        try:
            return str(self._connection._shell.tmpdir or self._make_tmp_path())
        except AnsibleConnectionFailure as error:
            raise AnsibleActionFail(f"seed {self.host} cannot be reached: {error}") from error

    def fetch(self, path: str, target: str) -> None:
        self._connection.fetch_file(path, target)

    def close(self) -> None:
        try:
            self.cleanup(force=True)
        finally:
            self._connection.close()

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """It is no task's plugin."""
        raise NotImplementedError


def _connection(task: Any, context: Any, variables: dict[str, Any]) -> Any:
    """As ansible.executor.task_executor makes it, which can only be asked for a whole task."""
    name = variables.get("ansible_connection") or task.connection or C.DEFAULT_TRANSPORT
    context.connection = "ssh" if name == "smart" else name
    parent = str(os.getppid())
    connection = connection_loader.get(
        context.connection, context, new_stdin=None, task_uuid=task._uuid, ansible_playbook_pid=parent
    )
    if connection is None:
        raise AnsibleActionFail(f"the connection plugin {name} was not found")
    keywords = {**task.dump_attrs(), "timeout": context.timeout}
    del keywords["retries"]
    if context.password:
        keywords["password"] = context.password
    _configure(connection, "connection", keywords, variables)
    _configure(connection._shell, "shell", keywords, variables)
    if boolean(variables.get("ansible_become", task.become) or False):
        become = become_loader.get(variables.get("ansible_become_method") or task.become_method)
        if context.become_pass:
            keywords["become_pass"] = context.become_pass
        _configure(become, "become", keywords, variables)
        connection.set_become_plugin(become)
    return connection


def _configure(plugin: Any, kind: str, keywords: dict[str, Any], variables: dict[str, Any]) -> None:
    names = C.config.get_plugin_vars(kind, plugin._load_name)
    options = {name: variables[name] for name in names if name in variables}
    plugin.set_options(task_keys=keywords, var_options=options)
