#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_blobs
short_description: Hands out the blobs of a pulled image
version_added: 0.1.0
description:
  - Tells which blobs an image consists of that was pulled from a registry, and lays those that are asked for into a
    directory, as hard links where it is on the store's file system.
  - M(barekernel.containers.oci_image) uses it on the host that O(barekernel.containers.oci_image#module:seed) names.
extends_documentation_fragment:
  - barekernel.containers.attributes
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description: Name of the image on the host.
    type: str
    required: true
  blobs:
    description: Digests of the blobs to hand out. Unset, none.
    type: list
    elements: str
  path:
    description: The directory, which must exist. Each blob is named after its digest, with a dash for the colon.
    type: path
"""

EXAMPLES = r"""
- name: What it consists of
  barekernel.containers.oci_image_blobs:
    name: registry.example/team/app:stable
  register: app

- name: Its manifest
  barekernel.containers.oci_image_blobs:
    name: registry.example/team/app:stable
    blobs: ["{{ app.digest }}"]
    path: /srv/blobs
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
  description: Each value that differed; empty here, as there is nothing but done or not done.
  returned: always
  type: list
  elements: dict
digest:
  description: Digest of the manifest, as the registry has it.
  returned: always
  type: str
blobs:
  description: Digest and size of the manifest, the configuration and each layer.
  returned: always
  type: list
  elements: dict
platform:
  description: The platform that this host takes from an index.
  returned: always
  type: str
"""

from ..module_utils._module.runner import run
from ..module_utils._resource.image_blobs import ImageBlobs


def main() -> None:
    """Some blobs, one directory."""
    argument_spec = {
        "name": {"type": "str", "required": True},
        "blobs": {"type": "list", "elements": "str"},
        "path": {"type": "path"},
    }
    run(ImageBlobs(), argument_spec=argument_spec, required_by={"blobs": ["path"]})


if __name__ == "__main__":
    main()
