#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ns_container_exec
short_description: Run a command in a running container
version_added: 0.1.0
description:
  - Runs a command in all namespaces of a running container, with its capabilities, system-call filter and limits.
  - A command that returns anything but 0 fails the task, as with M(ansible.builtin.command).
  - The task ends with the command. What that leaves in the background goes on; its output is taken for a second, and
    what it writes later is refused (SIGPIPE), so redirect it. Where runc is the container's runtime, that waits for
    everyone who holds the output.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes
attributes:
  check_mode:
    support: partial
    details: Whether the command would run is predicted by O(creates) and O(removes); what it would do is not.
  diff_mode:
    support: partial
    details: Shows the command, not what it changes.
options:
  name:
    description: Name of the container.
    type: str
    required: true
  argv:
    description:
      - The command as a list of arguments. Exactly one of O(argv) and O(cmd) is needed. No shell is involved.
      - Results show it. Give a secret to the command with O(env) or O(stdin).
    type: list
    elements: str
  cmd:
    description: The command as one string, split as a POSIX shell splits words. No shell is involved.
    type: str
  stdin:
    description:
      - What the command reads from its standard input. Unset, it is empty.
      - It is secret. No result or log of Ansible shows it, unless the command prints it.
    type: str
  stdin_add_newline:
    description: Ends O(stdin) with a newline.
    type: bool
    default: true
  strip_empty_ends:
    description: Removes line ends from the end of what is returned.
    type: bool
    default: true
  env:
    description:
      - Environment variables beside those of the container. Unset, none.
      - Values are text. What YAML takes for a number or a boolean needs quotes.
      - Values are secret. No result or log of Ansible shows them, unless the command prints them.
    type: dict
  cwd:
    description: Working directory inside the container. Unset, the container's.
    type: str
    aliases: [chdir]
  user:
    description: User, or V(user:group), by name or number as the container knows them. Unset, the container's.
    type: str
  creates:
    description: An absolute path inside the container. If it exists, the command is not run.
    type: str
  removes:
    description: An absolute path inside the container. If it does not exist, the command is not run.
    type: str
  timeout:
    description:
      - Seconds after which the task fails and the command is killed, with its process group and all its descendants.
      - A daemon that it started, whose parent has ended already, goes on.
      - Unset, it may take as long as it likes.
    type: float
seealso:
  - module: barekernel.containers.ns_container
"""

EXAMPLES = r"""
- name: Make a directory for what is uploaded, once
  barekernel.containers.ns_container_exec:
    name: web
    argv: [mkdir, -m, "0750", /srv/uploads]
    creates: /srv/uploads

- name: Ask the web server from a neighbour
  barekernel.containers.ns_container_exec:
    name: client
    cmd: wget -qO- http://web/
  register: page
  changed_when: false
"""

RETURN = r"""
rc:
  description: Exit code; 128 and the signal's number where a signal ended it.
  returned: when the command ran
  type: int
stdout:
  description:
    - What it wrote to its standard output.
    - Of more than 8 MiB the first and the last 4 MiB, and between them a line that says how many bytes were left out.
  returned: when the command ran
  type: str
stdout_omitted:
  description: Bytes of its standard output that were left out; V(0) where all of it is in RV(stdout).
  returned: when the command ran
  type: int
stderr:
  description: What it wrote to its standard error; of more than 8 MiB as RV(stdout).
  returned: when the command ran
  type: str
stderr_omitted:
  description: Bytes of its standard error that were left out.
  returned: when the command ran
  type: int
actions:
  description:
    - What was done, or in check mode would be done, in order, one sentence each.
    - Of a task that failed, what had been done by then and stays; C(changed) says whether that is anything.
  returned: always
  type: list
  elements: str
changes:
  description:
    - Each option of an existing object whose value differed, with before, after and how it is applied.
    - Empty when the object is made or removed.
  returned: always
  type: list
  elements: dict
  contains:
    option:
      description: Name of the option.
      type: str
    before:
      description: The observed value.
      type: raw
    after:
      description: The declared value.
      type: raw
    how:
      description: V(live), V(restart) or V(recreate).
      type: str
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._container.exec import ExecResource
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.container_exec import (
    container_exec,
)
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run


def main():
    run(
        ExecResource(),
        argument_spec=container_exec(),
        mutually_exclusive=[("argv", "cmd")],
        required_one_of=[("argv", "cmd")],
    )


if __name__ == "__main__":
    main()
