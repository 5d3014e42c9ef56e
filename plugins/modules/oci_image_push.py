#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_push
short_description: Brings an image of a host to a registry
version_added: 0.1.0
description:
  - Pushes an image of the store through C(skopeo), where the registry does not have it under that name yet. Only the
    layers that it lacks are transported.
  - What is compared is the digest of the image configuration, as a registry may hold the layers compressed.
extends_documentation_fragment:
  - barekernel.containers.attributes
  - barekernel.containers.registry_access
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description: Name of the image on the host.
    type: str
    required: true
  destination:
    description: Name in the registry. Unset, O(name).
    type: str
"""

EXAMPLES = r"""
- name: To a registry of one's own
  barekernel.containers.oci_image_push:
    name: app
    destination: registry.example/team/app:1.0
    username: writer
    password: "{{ registry_password }}"
"""

RETURN = r"""
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

from ..module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._images.store import ImageExport
from ..module_utils._module.arguments.registry_access import registry_access
from ..module_utils._module.runner import run


def main() -> None:
    """One image, one registry."""
    argument_spec = {
        "name": {"type": "str", "required": True},
        "destination": {"type": "str"},
        **registry_access(),
    }
    run(ImageExport("oci_image_push"), argument_spec=argument_spec)


if __name__ == "__main__":
    main()
