#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_prune
short_description: Removes what no image and no container uses
version_added: 0.1.0
description:
  - Removes blobs and layers from the store of M(barekernel.containers.oci_image) that belong to no named image and to
    no image that a container is made from. Use is read from what exists.
  - What an interrupted run left half-made goes as well.
  - An image in use that is damaged may need anything. Then nothing is removed, and a warning names it.
  - Check mode is the dry run, with the bytes that would be freed.
extends_documentation_fragment:
  - barekernel.containers.attributes
author:
  - barekernel.containers maintainers (@barekernel)
options: {}
"""

EXAMPLES = r"""
- name: What could go
  barekernel.containers.oci_image_prune:
  check_mode: true
  register: unused

- name: Let it go
  barekernel.containers.oci_image_prune:
"""

RETURN = r"""
freed_bytes:
  description: Bytes on the disk of what was removed, or in check mode would be.
  returned: always
  type: int
  sample: 52428800
removed_blobs:
  description: How many blobs were removed, or in check mode would be.
  returned: always
  type: int
  sample: 5
removed_layers:
  description: How many unpacked layers were removed, or in check mode would be.
  returned: always
  type: int
  sample: 3
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
from ..module_utils._images.store import ImagePrune
from ..module_utils._module.runner import run


def main() -> None:
    """The whole store."""
    run(ImagePrune(), argument_spec={})


if __name__ == "__main__":
    main()
