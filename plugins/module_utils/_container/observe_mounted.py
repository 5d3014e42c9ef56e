# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a running container has mounted now."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

from .._core.observe_world import World
from .._kernel import process
from .._kernel.errors import KernelError
from .._kernel.mountinfo import Mount, read_mountinfo
from .._runtime.supervise.control import Supervised
from .observed import SharedMemory
from .plan_shared_memory import PLACE, SOURCE, is_covered, pages, size_in

#: Errors that mean that it has ended, or has something else there by now.
_GONE = (errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.ELOOP)


def mounted(pid: int, started: int | None) -> Mapping[bytes, Mount]:
    """Every mount of exactly that process by its target, the topmost where there are several; none where it has ended.

    Raises KernelError.
    """
    try:
        with process.entry(pid, started) as directory:
            return {mount.target: mount for mount in read_mountinfo(directory=directory)}
    except KernelError as error:
        if error.errno in _GONE:  # it has ended meanwhile
            return {}
        raise


def shared_memory(
    supervised: Supervised, mounts: Mapping[bytes, Mount], config: Mapping[str, Any] | None, wanted: int, world: World
) -> SharedMemory | None:
    """The tmpfs at /dev/shm that the runtime has made, where it is there and nothing is mounted on it.

    Its size is that of config.json where the kernel has made whole pages of that. Raises KernelError.
    """
    found = mounts.get(os.fsencode(PLACE))
    if found is None or (found.fstype, found.source) != ("tmpfs", SOURCE.encode()) or is_covered(config):
        return None
    declared = size_in(config)
    live = _size(found)
    size = declared if declared is not None and pages(declared, _page()) == live else live
    if wanted >= size:
        return SharedMemory(size)
    from .._kernel import process_mounts  # here: few are to become smaller

    try:
        used = world.read(process_mounts.tmpfs_used, supervised.pid or 0, supervised.start_time, PLACE, SOURCE)
    except KernelError as error:
        if error.errno in _GONE:
            return None
        raise
    return SharedMemory(size, used)


def _size(mount: Mount) -> int:
    """Bytes. The kernel shows KiB, and nothing where it is the default, half of the memory (shmem_show_options())."""
    shown = next((option[5:-1] for option in mount.options if option.startswith(b"size=")), b"")
    return int(shown) * 1024 if shown.isdigit() else os.sysconf("SC_PHYS_PAGES") // 2 * _page()


def _page() -> int:
    return os.sysconf("SC_PAGE_SIZE")
