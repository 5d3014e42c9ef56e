#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: stack_info
short_description: What stacks made on a host, as it is
version_added: 0.1.0
description:
  - Reads what was made by M(barekernel.containers.stack) from the live kernel, and compares it with its declaration
    where that is asked for. No input but the host's own records is needed.
extends_documentation_fragment:
  - barekernel.containers.attributes.info
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description: Name of the stack. Unset, all stacks of the host.
    type: str
  drift:
    description:
      - Whether each object is compared with what was declared. The result says what would be done to have it so again.
      - Whether containers run is not compared, as that is no part of their declaration.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Everything that stacks made here
  barekernel.containers.stack_info:
  register: found

- name: Fail where something is no longer as it was declared
  barekernel.containers.stack_info:
    drift: true
  register: found
  failed_when: found.stacks | map(attribute='objects') | map('dict2items') | flatten
    | selectattr('value.drift') | length > 0
"""

RETURN = r"""
stacks:
  description: The stacks, by name. Empty when there is none of that name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the stack.
      type: str
    objects:
      description:
        - Its objects by KIND/NAME, each with what its own module returns of it (C(container), C(network) and so on).
        - With O(drift), C(drift) is the list of what would be done to have it as declared.
        - C(error) says why nothing can be said of it, such as a record that is gone.
      type: dict
      sample: {"network/lab0": {"drift": ["set bridge lab0 up"]}}
"""

from ..module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._module import closure  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._module.runner import run_info
from ..module_utils._stack.info import StackInfo


def main() -> None:
    """Read only."""
    run_info(StackInfo(), argument_spec={"name": {"type": "str"}, "drift": {"type": "bool", "default": False}})


if __name__ == "__main__":
    main()
