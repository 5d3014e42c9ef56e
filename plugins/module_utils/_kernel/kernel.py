# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel as operations may change it: one attribute per interface.

Operations receive an instance instead of importing the functions, so that a test can hand in a kernel that
records, one that refuses, or one that dies after the k-th change.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any


class Kernel:
    """The real one: ``kernel.files.make_directory(...)`` is ``_kernel.files.make_directory(...)``."""

    def __getattr__(self, name: str) -> Any:
        """An interface, or AttributeError."""
        interface = _interfaces().get(name)
        if interface is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return interface


@lru_cache(maxsize=1)
def _interfaces() -> Mapping[str, ModuleType]:
    """Imported when something is changed for the first time: Ansible compiles what a task imports anew for each task,
    and most tasks change nothing."""
    from . import (  # noqa: F401 they are returned by their names
        cgroup,
        files,
        inode_flags,
        mount,
        mount_overlay,
        netlink,
        netlink_conntrack,
        netlink_fdb,
        netlink_filter,
        netlink_ip,
        netlink_links,
        netlink_neighbours,
        netlink_qdisc,
        netns,
        nft,
        overlay_state,
        process_holders,
        process_mounts,
        shared_directory,
        sysctl,
        systemd,
    )

    return dict(locals())
