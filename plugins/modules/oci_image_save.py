#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_save
short_description: Saves an image of a host into an archive
version_added: 0.1.0
description:
  - Writes an image of the store into an archive or OCI layout that C(docker load), C(podman load) and C(skopeo) take.
  - An archive or layout that already holds this image, in this format and under this name, is left alone. Every run
    reads it in full to know. One that is damaged, of another image or, if it is an archive, of another format is
    replaced in one step, once the new one is whole.
  - Nothing else is replaced. Where O(path) is a directory with other files, a file that is no archive of one image, a
    symbolic link or a device, the task fails and names it.
extends_documentation_fragment:
  - barekernel.containers.attributes
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description: Name of the image on the host.
    type: str
    required: true
  path:
    description:
      - The archive or, with O(format=oci), the directory, on the host. The directory that it is in must exist.
      - Symbolic links on the way are followed where they belong to root.
    type: path
    required: true
  format:
    description: What is written.
    type: str
    choices: [oci-archive, docker-archive, oci]
    default: oci-archive
"""

EXAMPLES = r"""
- name: For docker load
  barekernel.containers.oci_image_save:
    name: app
    path: /srv/app.tar
    format: docker-archive
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
from ..module_utils._module.runner import run


def main() -> None:
    """One image, one file."""
    argument_spec = {
        "name": {"type": "str", "required": True},
        "path": {"type": "path", "required": True},
        "format": {
            "type": "str",
            "choices": ["oci-archive", "docker-archive", "oci"],
            "default": "oci-archive",
        },
    }
    run(ImageExport("oci_image_save"), argument_spec=argument_spec)


if __name__ == "__main__":
    main()
