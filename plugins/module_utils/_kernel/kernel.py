# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel as operations may change it: one attribute per interface.

Operations receive an instance instead of importing the functions, so that a test can hand in a kernel that
records, one that refuses, or one that dies after the k-th change.
"""

from __future__ import annotations

from . import (
    cgroup,
    files,
    inode_flags,
    mount,
    mount_overlay,
    netlink,
    netlink_ip,
    netlink_links,
    netlink_qdisc,
    netns,
    nft,
    overlay_state,
    process_holders,
    sysctl,
    systemd,
)


class Kernel:
    """The real one: ``kernel.files.make_directory(...)`` is ``_kernel.files.make_directory(...)``."""

    cgroup = cgroup
    files = files
    inode_flags = inode_flags
    mount = mount
    mount_overlay = mount_overlay
    netlink = netlink
    netlink_ip = netlink_ip
    netlink_links = netlink_links
    netlink_qdisc = netlink_qdisc
    netns = netns
    nft = nft
    overlay_state = overlay_state
    process_holders = process_holders
    sysctl = sysctl
    systemd = systemd
