#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image
short_description: Images on a host, from registries, archives, directories, packages or steps
version_added: 0.1.0
description:
  - Keeps images in a content-addressed store on the host, an OCI image layout below F(/var/lib/barekernel/images) whose
    blobs all images share. Each layer is unpacked once, ready to be a lower directory of the overlays of all containers
    that use it.
  - Everything is made aside and becomes visible by one rename. What an interrupted run left half-made is cleared by the
    next one.
  - Nothing in a layer is trusted. Paths are resolved inside the layer by the kernel, and every digest is checked.
extends_documentation_fragment:
  - barekernel.containers.attributes
  - barekernel.containers.image_source
  - barekernel.containers.image_config
attributes:
  async:
    description: Supports running in the background with the keyword C(async).
    support: partial
    details:
      - Not with O(seed), O(archive.remote_src=false) or O(rootfs.remote_src=false), for which the controller brings
        what the host lacks while the task runs. Progress is not shown.
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description:
      - Name of the image, as every engine writes it. V(debian) is V(docker.io/library/debian:latest). A name with a
        digest is given only to the image that has it, or that was chosen from the index that has it.
      - An image that is made on the host may have any name. It is never looked for in a registry unless O(registry) is
        its source, so C(localhost/) is not needed in front. Results and messages show C(app:latest), without what all
        names have in full.
      - The image of that name is replaced where it differs. Containers keep the layers they were made from until they
        are made anew.
    type: str
    required: true
  state:
    description:
      - V(present) makes or pulls the image from the one source that is given, O(registry) where none is.
      - V(absent) forgets the name and removes what no other image and no container uses. Refused while a container is
        made from the image, unless O(force=true).
    type: str
    choices: [present, absent]
    default: present
  force:
    description: With O(state=absent), forget the name although containers use the image; what they use stays.
    type: bool
    default: false
  verify:
    description:
      - Also hashes every blob of the image and compares every unpacked file with it, which takes about as long as
        unpacking did. Damaged layers are unpacked again, damaged blobs fetched again from the source.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: From Docker Hub, once
  barekernel.containers.oci_image:
    name: alpine:3.20

- name: From a registry of one's own, whenever the tag has moved
  barekernel.containers.oci_image:
    name: registry.example/team/app:stable
    pull: newer
    registry:
      username: reader
      password: "{{ registry_password }}"

- name: Many hosts and one pull, on the host that seeds
  barekernel.containers.oci_image:
    name: registry.example/team/app:stable
  delegate_to: node01
  run_once: true

- name: Many hosts and one pull, what the others lack of it
  barekernel.containers.oci_image:
    name: registry.example/team/app:stable
    seed: node01

- name: Another name for it
  barekernel.containers.oci_image:
    name: app
    image: registry.example/team/app:stable

- name: What docker save wrote
  barekernel.containers.oci_image:
    name: legacy
    archive:
      path: /srv/legacy.tar

- name: What it wrote on the controller, in the role's or playbook's files
  barekernel.containers.oci_image:
    name: legacy
    archive:
      path: legacy.tar
      remote_src: false

- name: Debian from its packages
  barekernel.containers.oci_image:
    name: debian
    debootstrap:
      suite: bookworm
      packages: [iproute2, wget]
    config:
      cmd: [bash]

- name: Busybox from the host's package busybox-static
  barekernel.containers.oci_image:
    name: busybox
    build:
      directories:
        - path: /srv
        - path: /tmp
          mode: "1777"
        - path: /usr/bin
        - path: /usr/sbin
        - path: /sbin
      copy:
        - src: /bin/busybox
          dest: /bin/busybox
          mode: "0755"
      run:
        - /bin/busybox --install -s
    config:
      cmd: [sh]

- name: The same with the command and the health check of a web server
  barekernel.containers.oci_image:
    name: example/web:1.0
    image: busybox
    config:
      cmd: [sh, -c, "echo Hello >/srv/index.html; exec httpd -f -p 80 -h /srv"]
      exposed_ports: [80/tcp]
      healthcheck:
        test: [CMD-SHELL, "wget -qO /dev/null http://127.0.0.1/"]
        timeout: 5s

- name: An application on top of it
  barekernel.containers.oci_image:
    name: example/app:1.0
    build:
      base: busybox
      copy:
        - src: /srv/app
          dest: /app
    config:
      entrypoint: [/app/run]
      exposed_ports: [8080/tcp]

- name: A root file system that another tool made
  barekernel.containers.oci_image:
    name: appliance
    rootfs:
      path: /srv/appliance.tar.zst

- name: Forget it
  barekernel.containers.oci_image:
    name: appliance
    state: absent
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
image:
  description: The image as it is in the store; empty when there is none.
  returned: always
  type: dict
  contains:
    reference:
      description: The name as people write it, without C(docker.io/) and C(library/), and with its tag.
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
source_key:
  description:
    - Stands for all that went into the image, or in check mode would go in; of a registry's image it is the digest of
      the manifest. Two images with the same key are made from the same. Empty when there is none.
  returned: success
  type: str
"""

from ..module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._images.resource import ImageResource
from ..module_utils._module.arguments.image_source import IMAGE_SOURCES, image_internal
from ..module_utils._module.arguments.oci_image import oci_image
from ..module_utils._module.runner import run


def main() -> None:
    """One image, present or absent."""
    run(
        ImageResource(),
        internal=image_internal(),
        instead={"hand_out": _blobs},
        argument_spec=oci_image(),
        mutually_exclusive=[IMAGE_SOURCES],
    )


def _blobs():
    """What a host that seeds others is asked for."""
    from ..module_utils._images.blobs import ImageBlobs  # here: hardly any task needs it

    return ImageBlobs()


if __name__ == "__main__":
    main()
