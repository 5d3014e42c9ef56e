# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container's volumes: named ones, and those that its image declares and no mount covers. Pure."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._core.errors import Refused
from .._core.files import RemoveTree, shown
from .._core.operation import Operation
from .._kernel import locations
from .observed import ContainerObserved
from .records import Container, ContainerMount

if TYPE_CHECKING:
    from .._core.observe_world import World

#: Where the kernel shows itself: what an image put over it would be believed (CVE-2019-16884).
_KERNELS = ("/proc", "/sys", "/dev")


@dataclass(frozen=True)
class MakeVolume(Operation):
    """Make a volume, with what the image has where it is mounted."""

    path: str
    layers: tuple[str, ...]
    inside: str
    mark: bool = False

    def describe(self) -> str:
        return f"create volume {shown(self.path)} with what the image has at {shown(self.inside)}"

    def execute(self, kernel: Any) -> None:
        kernel.volumes.make(self.path, self.layers, self.inside, self.mark)

    def expect(self, world: World) -> None:
        world.files.expect_directory(self.path, 0o755)


def volumes_of(container: Container, config: Mapping[str, Any]) -> tuple[ContainerMount, ...]:
    """Every mount of type volume; one that the image declares has its own path as its name. Raises Refused."""
    named = tuple(mount for mount in container.mounts if mount.kind == "volume")
    covered = {mount.target for mount in container.mounts}
    declared = sorted({_inside(container, path) for path in config.get("Volumes") or ()} - covered)
    return named + tuple(ContainerMount("volume", path, path) for path in declared)


def _inside(container: Container, path: str) -> str:
    """As the container's mounts spell it."""
    clean = "/" + posixpath.normpath(path).lstrip("/")
    if not path.startswith("/") or ".." in path.split("/") or not may_hold_volume(clean):
        raise Refused(
            f"image: '{container.image}': it declares a volume at {path!r}; a volume has an absolute path without "
            f"'..' that is not / and not in {', '.join(_KERNELS)}: use an image without it"
        )
    return clean


def may_hold_volume(place: str) -> bool:
    """Whether an image may declare a volume there; of a link the place that it leads to counts too."""
    clean = "/" + posixpath.normpath(place).lstrip("/")
    return clean != "/" and not any(clean == kernels or clean.startswith(kernels + "/") for kernels in _KERNELS)


def directory_of(name: str, volume: ContainerMount) -> str:
    """Where a volume is on the host: a named one among all, one that the image declares with its container."""
    source = volume.source or ""
    if not source.startswith("/"):
        return f"{locations.VOLUMES}/{source}"
    return f"{own_volumes(name)}/{hashlib.sha256(source.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def places_of(container: Container) -> list[str]:
    """What a container needs of the host's file systems: its image, its own directory, what it mounts of the host's."""
    shared = [directory_of(container.name, mount) for mount in container.mounts if mount.kind == "volume"]
    bound = [mount.source for mount in container.mounts if mount.kind == "bind" and mount.source]
    return [locations.IMAGES, f"{locations.CONTAINERS}/{container.name}", *shared, *bound]


def own_volumes(name: str) -> str:
    """The directory of the volumes that go with the container."""
    return f"{locations.CONTAINERS}/{name}/volumes"


def missing_volumes(
    container: Container, config: Mapping[str, Any], layers: tuple[str, ...], observed: ContainerObserved
) -> list[Operation]:
    """Those that have to be made. What is there stays, also when the container is made anew."""
    there = observed.directories | {f"{locations.VOLUMES}/{name}" for name in observed.host.volumes}
    wanted = {directory_of(container.name, volume): volume for volume in volumes_of(container, config)}
    return [
        MakeVolume(path, layers, volume.target, mark=path.startswith(locations.VOLUMES + "/"))
        for path, volume in sorted(wanted.items())
        if path not in there
    ]


def half_made_volumes(observed: ContainerObserved, own: str = "") -> list[Operation]:
    """What a run left that ended while it filled a volume: a named one of any container, or one in ``own``."""
    named = {f"{locations.VOLUMES}/{name}" for name in observed.host.volumes}
    theirs = {path for path in observed.directories if posixpath.dirname(path) == own}
    left = {path for path in named | theirs if posixpath.basename(path).startswith(locations.HALF_MADE)}
    return [RemoveTree(path) for path in sorted(left)]


def volumes_view(name: str, documents: Mapping[str, Any]) -> dict[str, str]:
    """Volumes by where the container has them, as its bundle says: the directory on the host."""
    places = (f"{locations.VOLUMES}/", f"{own_volumes(name)}/")
    mounts = (documents.get("config") or {}).get("mounts") or ()
    return {m["destination"]: m["source"] for m in mounts if str(m.get("source")).startswith(places)}
