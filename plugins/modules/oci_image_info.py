#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_info
short_description: Images of a host
version_added: 0.1.0
description:
  - Reads the images in the store of M(barekernel.containers.oci_image), with configuration, layers, sizes, history and
    the containers made from them.
extends_documentation_fragment:
  - barekernel.containers.attributes.info
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description: Name or digest of the image. Unset, all images of the host.
    type: str
"""

EXAMPLES = r"""
- name: All images
  barekernel.containers.oci_image_info:
  register: found

- name: One image
  barekernel.containers.oci_image_info:
    name: debian
"""

RETURN = r"""
images:
  description:
    - The images, by name.
    - Empty when there is none of that name.
  returned: always
  type: list
  elements: dict
  contains:
    reference:
      description: The name as people write it, without C(docker.io/) and C(library/), and with its tag.
      type: str
    damage:
      description:
        - What is wrong with an image whose manifest or configuration cannot be read. Of such an image
          RV(images[].reference), RV(images[].digest) and RV(images[].used_by) are returned besides, and nothing else.
      returned: when it is damaged
      type: str
    digest:
      description: Digest of the manifest, which is what a container compares.
      type: str
    config_digest:
      description: Digest of the configuration, which other engines call the image ID.
      type: str
    architecture:
      description: The architecture it is for.
      type: str
    os:
      description: The operating system it is for.
      type: str
    created:
      description: When it was made, as its maker wrote it down.
      type: str
    config:
      description: The configuration, with the keys of the OCI image specification.
      type: dict
    history:
      description: How each layer was made, as its maker wrote it down.
      type: list
      elements: dict
    layers:
      description: The layers, the bottommost first, each with its digest, diff ID, size, media type and path.
      type: list
      elements: dict
    size:
      description: Bytes of the blobs.
      type: int
    unpacked_size:
      description: Bytes of the files in the unpacked layers.
      type: int
    source:
      description:
        - What kind of source it came from, what was declared to go in, the key of all that did, and the digest that the
          source gave.
      type: dict
    used_by:
      description: Names of the containers made from it.
      type: list
      elements: str
unused_bytes:
  description: Bytes that M(barekernel.containers.oci_image_prune) would free.
  returned: always
  type: int
"""

from ..module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._images.store import ImageInfo
from ..module_utils._module.runner import run_info


def main() -> None:
    """Read only."""
    run_info(ImageInfo(), argument_spec={"name": {"type": "str"}})


if __name__ == "__main__":
    main()
