#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ns_container_info
short_description: Read the state of containers
version_added: 0.1.0
description:
  - Returns the containers declared on a host with M(barekernel.containers.ns_container) as the kernel shows them now.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes.info
options:
  name:
    description: Name of one container. Unset, all are returned.
    type: str
  log_lines:
    description: How many of the last lines of each log to return as RV(containers[].logs).
    type: int
    default: 0
  changed_files:
    description:
      - Returns what was added, changed and deleted against the image as RV(containers[].changed_files). Mount points
        that had to be made for the container are not listed, nor what lies deeper than 512 directories.
    type: bool
    default: false
  check_health:
    description:
      - Runs the health check that the image of each container declares, once, and returns RV(containers[].health).
      - Nothing runs it otherwise. C(until) and C(retries) of a task wait for a container to be healthy.
    type: bool
    default: false
seealso:
  - module: barekernel.containers.ns_container
"""

EXAMPLES = r"""
- name: Read all containers of the host
  barekernel.containers.ns_container_info:
  register: found

- name: Read one with the end of its log
  barekernel.containers.ns_container_info:
    name: web
    log_lines: 20

- name: Wait until it is healthy, by the health check of its image (config.healthcheck of oci_image)
  barekernel.containers.ns_container_info:
    name: web
    check_health: true
  register: found
  until: found.containers[0].health.healthy
  retries: 10
  delay: 3
"""

RETURN = r"""
containers:
  description: One entry a container, in order of their names; empty where there is none.
  returned: always
  type: list
  elements: dict
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
    health:
      description: What the health check answered; null where the image declares none.
      returned: when O(check_health=true)
      type: dict
      contains:
        healthy:
          description: Whether it ended with 0, in time.
          type: bool
        exit_code:
          description: What it ended with; null where it could not be run, or was killed as its time was over.
          type: int
        output:
          description: What it wrote, or why it could not be run; of more than 16 KiB the beginning and the end.
          type: str
    changed_files:
      description: What differs from the image, in order of the paths.
      returned: when O(changed_files=true)
      type: list
      elements: dict
      contains:
        path:
          description: Absolute path inside the container.
          type: str
        what:
          description: V(added), V(changed) or V(deleted).
          type: str
    logs:
      description: The last lines of its log, oldest first.
      returned: when O(log_lines) is more than 0
      type: list
      elements: str
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._container.info import ContainerInfo
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run_info


def main():
    run_info(
        ContainerInfo(),
        argument_spec={
            "name": {"type": "str"},
            "log_lines": {"type": "int", "default": 0},
            "changed_files": {"type": "bool", "default": False},
            "check_health": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
