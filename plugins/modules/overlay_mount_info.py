#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation and argument spec; what it reads is in module_utils/_overlay/info.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: overlay_mount_info
short_description: Read which overlay file systems are mounted
version_added: 0.1.0
description:
  - Returns the overlays of the host's mount namespace as the kernel shows them, those of this collection and others.
  - Containers mount theirs in mount namespaces of their own, where this module does not look.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes.info
options:
  path:
    description:
      - Only overlays mounted at this path, an absolute path or a URI such as V(file:///srv/caf%E9). When unset, all.
    type: str
  ours:
    description: Only overlays of M(barekernel.containers.overlay_mount).
    type: bool
    default: false
  holders:
    description: Also find out which processes keep each one busy. This reads the open files of every process.
    type: bool
    default: false
seealso:
  - module: barekernel.containers.overlay_mount
"""

EXAMPLES = r"""
- name: Which processes keep the overlay busy
  barekernel.containers.overlay_mount_info:
    path: /srv/build
    holders: true
  register: build

- name: All overlays of this collection
  barekernel.containers.overlay_mount_info:
    ours: true
  register: mine
"""

RETURN = r"""
overlays:
  description: The overlays, in the order in which they were mounted.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where it is mounted.
      type: str
    source:
      description: The mount's source.
      type: str
    ours:
      description: Whether M(barekernel.containers.overlay_mount) mounted it.
      type: bool
    mount_id:
      description: The kernel's number of the mount.
      type: int
    device:
      description: The device number of its files, major and minor.
      type: str
    covered:
      description: Whether something else is mounted over it.
      type: bool
    lowerdirs:
      description: The lower layers, topmost first. For other people's ID-mapped overlays the kernel has no names.
      type: list
      elements: str
    upperdir:
      description: The upper layer, null for a read-only overlay.
      type: str
    workdir:
      description: Overlayfs's own directory, null for a read-only overlay.
      type: str
    idmap:
      description: The mapping of the layers' owners, known for overlays of ours; null where there is none.
      type: dict
    options:
      description: Overlay options by name, those at the kernel's default too (C(xino) only where the kernel shows it).
      type: dict
    flags:
      description: Which of V(ro), V(nosuid), V(nodev), V(noexec) and V(noatime) are set.
      type: list
      elements: str
    propagation:
      description: V(private), V(shared), V(slave) or V(unbindable).
      type: str
    holders:
      description: Processes (and mounts below it) that keep it busy.
      returned: when O(holders=true)
      type: list
      elements: str
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run_info
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.info import OverlayInfo


def main() -> None:
    run_info(
        OverlayInfo(),
        argument_spec={
            "path": {"type": "str"},
            "ours": {"type": "bool", "default": False},
            "holders": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
