# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter mistakes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mistakes
short_description: Says which entries of a list a module would refuse
version_added: 0.1.0
description:
  - Judges each entry of a list as the module that is to get it judges its options, on the controller and before
    anything is changed. What only a host can tell, such as whether a file is there, it does not look at.
  - Role P(barekernel.containers.host#role) asks it for all lists, and each role of one list for that one.
author:
  - barekernel.containers maintainers (@barekernel)
positional: module, variable
options:
  _input:
    description: The entries, each a dictionary of options of the module.
    type: raw
    required: true
  module:
    description: The module that is to get them.
    type: str
    choices: [oci_image, cgroup_v2, overlay_mount, bridge_network, netns_veth, ns_container]
    required: true
  variable:
    description: What the list is called in the answer.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Stop before anything is made
  ansible.builtin.assert:
    that: found | length == 0
    fail_msg: "{{ found | join('. ') }}"
  vars:
    found: "{{ container_list | barekernel.containers.mistakes('ns_container', 'container_list') }}"
"""

RETURN = r"""
_value:
  description: One text for each entry that would be refused, with its position and name; empty where there is none.
  type: list
  elements: str
"""

from ..plugin_utils.mistakes import mistakes_in


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self):
        """The filter by its name."""
        return {"mistakes": _mistakes}


def _mistakes(entries, module, variable):
    return mistakes_in(module, entries, variable)
