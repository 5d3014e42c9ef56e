#!/usr/bin/python
# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation and argument spec; what it does is in module_utils/_overlay/resource.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: overlay_mount
short_description: Mount overlay file systems
version_added: 0.1.0
description:
  - Mounts an overlay of directories (overlayfs), keeps it as declared and unmounts it.
  - Works on any path, with up to 500 layers, through the mount API of Linux 5.2 where the kernel's overlayfs takes
    layers by it (6.7), otherwise through mount(2). Needs Linux 5.11.
  - A mount of this module is known by its source, which begins with C(barekernel:overlay:). Any other mount is left
    alone.
author:
  - barekernel.containers maintainers (@barekernel)
extends_documentation_fragment:
  - barekernel.containers.attributes
  - barekernel.containers.overlay
seealso:
  - module: barekernel.containers.overlay_mount_info
  - name: Overlay Filesystem
    description: The kernel's documentation of overlayfs and its options.
    link: https://docs.kernel.org/filesystems/overlayfs.html
"""

EXAMPLES = r"""
- name: A writable view of a read-only tree
  barekernel.containers.overlay_mount:
    path: /srv/build
    lowerdirs: [/srv/base]
    upperdir: /srv/build-upper
    workdir: /srv/build-work

- name: Three layers, read-only, back after each boot
  barekernel.containers.overlay_mount:
    path: /srv/site
    lowerdirs:
      - /srv/layers/theme
      - /srv/layers/content
      - /srv/layers/base
    flags: [nosuid, nodev]
    systemd: true

- name: A root file system whose files belong to a user namespace
  barekernel.containers.overlay_mount:
    path: /srv/guest
    lowerdirs: [/srv/images/debian]
    upperdir: /srv/guests/one/upper
    workdir: /srv/guests/one/work
    idmap:
      host_id: 100000

- name: A directory whose name is not UTF-8
  barekernel.containers.overlay_mount:
    path: file:///srv/caf%E9
    lowerdirs: [/srv/a, /srv/b]

- name: Unmount, and remove the upper layer with all files in it
  barekernel.containers.overlay_mount:
    path: /srv/build
    upperdir: /srv/build-upper
    workdir: /srv/build-work
    state: absent
    purge: true
"""

RETURN = r"""
actions:
  description:
    - What was done, or in check mode would be done, in order, one sentence each.
    - Of a task that failed, what had been done by then and stays; C(changed) says whether that is anything.
  returned: always
  type: list
  elements: str
  sample: [mount writable overlay of 1 lower layer on /srv/build]
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
overlay:
  description:
    - The overlay as the kernel shows it after the task. In check mode, as it is now.
  returned: success
  type: dict
  contains:
    mounted:
      description: Whether an overlay of ours is mounted at the path. All else is only returned when it is.
      type: bool
    path:
      description: Where, symbolic links resolved.
      type: str
    source:
      description: The mount's source, its mark.
      type: str
    lowerdirs:
      description: The lower layers, topmost first.
      type: list
      elements: str
    upperdir:
      description: The upper layer, null for a read-only overlay.
      type: str
    workdir:
      description: Overlayfs's own directory, null for a read-only overlay.
      type: str
    idmap:
      description: The mapping of the layers' owners, null where there is none.
      type: dict
    flags:
      description: Which of the mount flags that this module knows are set.
      type: list
      elements: str
    propagation:
      description: The propagation type.
      type: str
    stacked:
      description: How many overlays of ours are mounted on top of each other there.
      type: int
    systemd:
      description: Whether there is a mount unit.
      type: bool
    metacopy:
      description: Whether only metadata is copied up when only metadata changes, V(on) or V(off).
      type: str
    redirect_dir:
      description: How renamed directories are handled.
      type: str
    index:
      description: Whether hard links are indexed, V(on) or V(off).
      type: str
    nfs_export:
      description: Whether it can be exported, V(on) or V(off).
      type: str
    userxattr:
      description: Whether user extended attributes are used, V(on) or V(off).
      type: str
    volatile:
      description: Whether it is never synced, V(on) or V(off).
      type: str
    xino:
      description: How inode numbers are composed. Left out where all layers are in one file system.
      type: str
"""

from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.barekernel.containers.plugins.module_utils._module.arguments.overlay import overlay
from ansible_collections.barekernel.containers.plugins.module_utils._module.runner import run
from ansible_collections.barekernel.containers.plugins.module_utils._overlay.resource import Overlay


def main() -> None:
    run(
        Overlay(),
        argument_spec=overlay(),
        required_if=[("state", "present", ("lowerdirs",))],
    )


if __name__ == "__main__":
    main()
