# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mount points in a container's root that the runtime made for a mount of another kind than the declared one."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from .._image.layers.find import CannotTell, Stack
from .._image.store.store import Image
from .._kernel.errors import KernelError
from .records import Container, ContainerMount


def is_of_file(mount: ContainerMount) -> bool:
    """Whether it mounts a file: only a bind mount can. One whose source is missing counts as a directory."""
    return mount.kind == "bind" and os.path.exists(mount.source or "") and not os.path.isdir(mount.source or "")


def spent_mount_points(
    container: Container, image: Image | None, layers: Sequence[str], config: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Their paths below ``upper``, which is the first of ``layers`` where there is one: empty, not in the image, and
    covered by a mount of ``config``, the bundle's configuration of now."""
    if image is None or not container.mounts or config is None or list(layers) == list(image.lowerdirs):
        return ()
    try:
        with Stack(layers) as root:
            found = [(root.find(mount.target), is_of_file(mount)) for mount in container.mounts]
    except CannotTell:
        return ()
    other = {place.path.lstrip("/") for place, file in found if place.status and _is_other(place.status, file)}
    if not other:
        return ()
    from .._image.sources import mount_points  # here: it seldom comes to this

    try:
        made = mount_points.made(layers[0], image.lowerdirs, mount_points.mounted(config))
    except (OSError, KernelError):
        return ()
    return tuple(sorted(other & {os.fsdecode(path) for path in made}))


def _is_other(status: os.stat_result, file: bool) -> bool:
    return stat.S_ISDIR(status.st_mode) == file
