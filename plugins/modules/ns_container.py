#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ns_container
short_description: Run a container on the kernel's own primitives
version_added: 0.1.0
description:
  - Makes a container of an image and keeps it as declared, without any container engine. Root file system (overlayfs),
    namespaces, cgroup, network links, files in C(/etc), the process and its supervision are one resource.
  - Every run compares with the live kernel. What can be changed in a running container is changed live; the diff says
    for each option whether it is applied live, by restart or by recreation.
  - The network namespace C(bk-NAME) outlives the process, so links survive a restart.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes
  - barekernel.containers.container
  - barekernel.containers.limits
notes:
  - Under systemd, standard output and error of a container are sockets of the journal, which no program can open anew.
    One that opens C(/dev/stdout) or C(/dev/stderr) by name, as where an image links its log files there, fails then
    (ENXIO); have it write to the descriptors that it has.
seealso:
  - module: barekernel.containers.oci_image
  - module: barekernel.containers.bridge_network
  - module: barekernel.containers.ns_container_info
"""

EXAMPLES = r"""
- name: A web server with a published port and limits
  barekernel.containers.ns_container:
    name: web
    image: example/web:1.0
    networks:
      - name: lab0
        ports: ["8080:80"]
    mounts:
      - type: volume
        source: pages
        target: /srv
    env:
      TOKEN: "{{ token_of_web }}"
    limits:
      memory: 64M
      cpu: 0.5
      pids: 32
    restart_policy: on-failure

- name: A shell host on the same network that finds the web server by name
  barekernel.containers.ns_container:
    name: client
    image: debian
    command: [sleep, infinity]
    networks:
      - name: lab0

- name: Remove it and everything it made
  barekernel.containers.ns_container:
    name: client
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
  sample: ["create network namespace bk-web", "start container web"]
actions_undone:
  description: What had been done and was taken back again.
  returned: when the task failed and took something back
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
container:
  description: The container as observed at the end; empty when it is absent.
  returned: always
  type: dict
  contains:
    name:
      description: Name of the container.
      type: str
    status:
      description: V(created), V(running), V(restarting), V(stopped) or V(exited).
      type: str
    pid:
      description: Its first process as the host sees it, or null.
      type: int
    image:
      description: Name of its image, as people write it; of an image without a name its digest.
      type: str
    image_reference:
      description: The name of its image in full, and its digest.
      type: str
    command:
      description: The argument list of its program.
      type: list
      elements: str
    init:
      description: What its first process is, V(none) for the program itself or V(reaper).
      type: str
    networks:
      description: Interface, MAC address, MTU and addresses on each network.
      type: dict
    ports:
      description: Published ports by the address they lead to.
      type: dict
    netns:
      description: Name of its network namespace, for C(ip netns exec), or null.
      type: str
    cgroup:
      description: Path of its cgroup.
      type: str
    limits:
      description: The control files of its cgroup that are declared, as the kernel shows them while it runs.
      type: dict
    limits_not_enforced:
      description: Declared limits that this host cannot enforce, each with what holds the controller.
      type: dict
    unit:
      description: Its systemd unit, or null where systemd does not supervise it.
      type: str
    started_at:
      description: When its process was started, or null.
      type: str
    finished_at:
      description: When its last process ended, or null.
      type: str
    exit_code:
      description: Exit code of the last process that ended, or null.
      type: int
    signal:
      description: Signal that ended the last process, or null.
      type: str
    oom_killed:
      description: Whether the last process was killed for want of memory.
      type: bool
    restarts:
      description: How often it was started again by its restart policy.
      type: int
    error:
      description: Why the last start failed; empty where it did not.
      type: str
    healthcheck:
      description: The health check of its image, as argument list and times in seconds, or null.
      type: dict
    volumes:
      description: Its volumes by where the container has them, each with its directory on the host.
      type: dict
    labels:
      description: Its labels.
      type: dict
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._container.resource import ContainerResource
from ansible_collections.barekernel.containers.plugins.module_utils._module import closure  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.container import container
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run


def main():
    run(ContainerResource(), argument_spec=container())


if __name__ == "__main__":
    main()
