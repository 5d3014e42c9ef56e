# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of the host a running container still has as it was: a mount is of a file, not of its name, nor of the link that
led to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .._core.observe_world import World
from .._kernel import mountinfo
from .._kernel.errors import KernelError
from .._kernel.mountinfo import Mount
from .._runtime.supervise.control import Supervised
from .plan_init import PLACE

#: What the kernel appends to a root that has no name any more, fs/d_path.c; mountinfo escapes no slash.
_DELETED = b"//deleted"


def replaced(
    supervised: Supervised, mounts: Mapping[bytes, Mount], config: Mapping[str, Any] | None, world: World
) -> dict[str, str]:
    """Target -> source of each bind mount whose source is something else by now: it was replaced, as
    ansible.builtin.template and copy do it, or renamed, or a link on the way to it leads elsewhere.

    ``mounts`` are those of the container by target, none where it does not run. The program of ``init: reaper`` is not
    among them: a package's update is no reason to restart what it runs already. One whose source is gone is left out: a
    restart would not mend it. So is what cannot be told. Raises KernelError.
    """
    binds = {os.fsencode(m["destination"]): m["source"] for m in (config or {}).get("mounts") or () if _is_bind(m)}
    there = {mount.mount_id for mount in mounts.values()}
    found = {}
    for target, source in sorted(binds.items()):
        mount = mounts.get(target)
        # One over another at the same target was made by the container itself.
        if mount is not None and mount.parent_id in there and _is_replaced(supervised, mount, source, world):
            found[os.fsdecode(target)] = source
    return found


def _is_bind(mount: Mapping[str, Any]) -> bool:
    if mount["destination"] == PLACE:
        return False
    return mount.get("type") == "bind" or bool({"bind", "rbind"} & set(mount.get("options") or ()))


def _is_replaced(supervised: Supervised, mount: Mount, source: str, world: World) -> bool:
    """Some file systems tell the same root of all their mounts (NFS), or a file's number anew each time that it is
    looked up (FUSE): only where place and number differ it is another file."""
    if world.files.will_be_mounted(source):  # anew, by a plan before this one
        return True
    if mount.root.endswith(_DELETED):
        return os.path.exists(source)
    now = _place(source, world)
    if now is None or now == (mount.device, mount.root):
        return False
    from .._kernel import process_mounts  # here: it seldom comes to this

    try:
        status = os.stat(source)
        identity = world.read(process_mounts.identity, supervised.pid or 0, supervised.start_time, mount)
    except (KernelError, OSError):
        return False
    return identity not in (None, (status.st_dev, status.st_ino))


def _place(source: str, world: World) -> tuple[str, bytes] | None:
    """Where a path leads now, in the words of mountinfo: a file system and a place in it. None where nobody can tell.

    Raises KernelError.
    """
    from .._kernel.mount import mount_id  # here: a container that does not run needs none

    try:
        fd = os.open(source, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        number, path = mount_id(fd), os.readlink(b"/proc/self/fd/%d" % fd)
    finally:
        os.close(fd)
    holds = next((mount for mount in world.read(mountinfo.read_mountinfo) if mount.mount_id == number), None)
    if holds is None or not (path + b"/").startswith(holds.target.rstrip(b"/") + b"/"):
        return None
    below = path[len(holds.target.rstrip(b"/")) :]
    return holds.device, (holds.root.rstrip(b"/") + below) or b"/"
