#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: stack
short_description: Everything that a host runs, in one task
version_added: 0.1.0
description:
  - Makes any number of images, networks, links, overlays, cgroups and containers of one host. The host is read once,
    everything is planned against that reading, and then done. A host with hundreds of containers takes one task.
  - Each entry of a list has the options of the module named there, and is judged as that module judges its options. If
    an option of any entry is wrong, nothing is changed.
  - What refers to something that the stack declares comes after it (a container after its image and its networks);
    otherwise the order is that of the lists.
  - An object that fails stops those that need it and nothing else. The task then fails and lists every failure. What
    was done stays.
  - Containers are stopped and started many at a time. Other tasks on the host do not wait meanwhile.
extends_documentation_fragment:
  - barekernel.containers.attributes
author:
  - barekernel.containers maintainers (@barekernel)
options:
  name:
    description:
      - Name of the stack. What it makes is recorded under this name. An object belongs to one stack, or to none.
      - Several stacks on a host do not touch each other's objects.
    type: str
    default: default
  state:
    description:
      - V(present) makes the objects as declared.
      - V(absent) removes all objects that are declared here, and all that the stack made before.
    type: str
    choices: [present, absent]
    default: present
  images:
    description: Images, each with the options of M(barekernel.containers.oci_image).
    type: list
    elements: dict
    default: []
  cgroups:
    description: Cgroups, each with the options of M(barekernel.containers.cgroup_v2).
    type: list
    elements: dict
    default: []
  overlays:
    description: Overlay mounts, each with the options of M(barekernel.containers.overlay_mount).
    type: list
    elements: dict
    default: []
  networks:
    description: Networks, each with the options of M(barekernel.containers.bridge_network).
    type: list
    elements: dict
    default: []
  links:
    description: Network namespaces and veth pairs, each with the options of M(barekernel.containers.netns_veth).
    type: list
    elements: dict
    default: []
  containers:
    description:
      - Containers, each with the options of M(barekernel.containers.ns_container).
      - C(depends_on) beside them names containers of the stack that are started before, as a list, or as a dictionary
        with C(condition) V(started), V(healthy) (the health check of its image answers well) or V(completed) (it ended
        with code 0).
    type: list
    elements: dict
    default: []
  compose:
    description:
      - A Compose file, as the path of a file or directory on the controller, or as a dictionary. Its services, networks
        and volumes become entries of O(images), O(networks) and O(containers), after those declared there. An image
        that is declared in O(images) takes the place of the one that the file would pull.
      - What it uses that has no counterpart is an error that lists every such key with its line.
      - Secrets and configs are read on the controller and written below C(/var/lib/barekernel/secrets) on the host.
      - The page C(docs/compose.md) of the collection says what is read and what differs.
    type: raw
  compose_profiles:
    description: Profiles whose services take part. Without it, services that have profiles do not.
    type: list
    elements: str
  compose_unsupported:
    description:
      - What a key of the Compose specification without a counterpart is, V(error) or V(warn).
      - Unset means V(error).
    type: str
    choices: [error, warn]
  compose_directory:
    description:
      - The directory on the host to which paths like C(./data) in binds are relative.
      - Unset means that such a path is an error.
    type: path
  prune:
    description:
      - Removes what the stack made before and does not declare any more.
      - V(false) leaves it and names it in a warning.
    type: bool
    default: false
  only:
    description:
      - The part of the stack that this task is about, as KIND, such as V(container), or KIND/NAME, such as
        V(network/lab0).
      - What is declared beside it is taken as made by an earlier task, and is nothing that the task is about.
      - Empty means all of it.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
notes:
  - Images are made before anything else is changed, as what a container is depends on the configuration of its image.
    In check mode, only what was declared is known of an image that is yet to be made.
"""

EXAMPLES = r"""
- name: A web server and its database
  barekernel.containers.stack:
    images:
      - name: web:1
        image: registry.example.com/web:1
      - name: db:1
        image: registry.example.com/db:1
    networks:
      - name: lab0
        addresses: [10.88.0.1/24]
    containers:
      - name: db
        image: db:1
        networks:
          - name: lab0
      - name: web
        image: web:1
        networks:
          - name: lab0
            ports: ["8080:80"]
        depends_on:
          db:
            condition: healthy

- name: The same without the database, which is removed
  barekernel.containers.stack:
    images:
      - name: web:1
        image: registry.example.com/web:1
    networks:
      - name: lab0
        addresses: [10.88.0.1/24]
    containers:
      - name: web
        image: web:1
        networks:
          - name: lab0
            ports: ["8080:80"]
    prune: true

- name: What a Compose file declares
  barekernel.containers.stack:
    name: shop
    compose: files/shop/compose.yaml
    compose_directory: /srv/shop
    prune: true

- name: Remove all of it
  barekernel.containers.stack:
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
  sample: ["create bridge lab0 (MAC 02:1f:6a:0c:55:9e, MTU 1500)", "start container web"]
changes:
  description:
    - Each option of an existing object whose value differed, with before, after and how it is applied.
    - Empty when the object is made or removed.
  returned: always
  type: list
  elements: dict
  sample: [{"object": "container/web", "option": "env.A", "before": null, "after": "(not shown)", "how": "restart"}]
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
objects:
  description:
    - Each object of the task by KIND/NAME, with C(changed), C(actions) and C(changes), and what its own module returns
      of it (C(container), C(network), C(image) and so on).
    - Of a task that failed, only the objects that did. Each has C(error), and C(skipped), which is true where it was
      not tried because something that it needs failed.
  returned: always
  type: dict
  sample: {"container/web": {"changed": true, "actions": ["start container web"], "changes": []}}
"""

from ..module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._module import closure  # noqa: F401  # pylint: disable=unused-import
from ..module_utils._module.arguments.stack import entries, stack, stack_internal
from ..module_utils._module.runner import run_many
from ..module_utils._stack.resource import StackResource


def main() -> None:
    """The host becomes as declared."""
    run_many(StackResource(), internal=stack_internal(), entries=entries(), argument_spec=stack())


if __name__ == "__main__":
    main()
