# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything about one container that its planner needs to know."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from .._cgroup.limits import limits_to_files
from .._core import observe_cgroups, observe_containers
from .._core.errors import OptionError, Refused
from .._core.observe_world import World
from .._image.errors import ImageError
from .._image.format.user import NoSuchUser, parse_group, parse_user
from .._image.layers.find import CannotTell
from .._image.layers.lookup import read_file
from .._image.store.store import Image, full_name, on_host
from .._kernel import locations, systemd
from .._kernel.host_resources import HostResources
from .._runtime.supervise import control, unit
from . import observe_network
from .documents import cgroup_path, directory
from .observe_host import observe_host
from .observe_joined import strayed
from .observe_mount_points import spent_mount_points
from .observe_mounted import mounted, shared_memory
from .observe_replaced import replaced
from .observe_usable import unusable
from .observed import ContainerObserved, Unusable
from .options import container_of
from .options_values import NONE
from .plan import PLACES
from .plan_declared import meant
from .plan_volumes import own_volumes
from .records import Container


def observe(container: Container, world: World) -> ContainerObserved:
    """Raises KernelError, Refused."""
    home = directory(container.name)
    record = observe_containers.read(container.name, world)
    recorded = _recorded(record)
    container = meant(container, recorded)
    host = observe_host(container, record or {}, world)
    image = _image(container, world) if container.state != "absent" else None
    documents = {
        "config": world.files.document(f"{home}/bundle/config.json"),
        "launch": observe_containers.read_launch(container.name, world),
    }
    hierarchy = observe_cgroups.hierarchy(world)
    launch = documents["launch"] or {}
    path = cgroup_path(container.name, host.systemd, hierarchy.mount) if hierarchy.mount else "/"
    supervised = world.read(control.observe, container.name)
    network = observe_network.observe(
        container,
        dict(host.networks),
        (record or {}).get("addresses", {}),
        host.identity,
        ((documents["config"] or {}).get("linux") or {}).get("sysctl") or {},
        world,
    )
    layers = _layers(image, home, (record or {}).get("image_digest"))
    spent = spent_mount_points(container, image, layers, documents["config"]) if container.state != "absent" else ()
    starts = not supervised.running or launch.get("runtime") != container.runtime
    reapers, no_reaper, coming = *_reapers(container), _coming(container, world)
    groups, no_groups = _groups(container, layers)
    lives = supervised.running and supervised.pid is not None
    mounts = world.read(mounted, supervised.pid, supervised.start_time) if lives else {}
    written, directories = _files(container.name, host.systemd, world), frozenset(_directories(home, world))
    return ContainerObserved(
        host=host,
        record=record,
        supervised=supervised,
        image=image,
        user=_user(container, image, layers),
        root=_root(image),
        files=written,
        documents=documents,
        directories=directories,
        cgroup=observe_cgroups.observe(world, path, _limit_files(container, launch, host.resources)),
        network=network,
        unit_enabled=host.systemd and world.read(systemd.starts_at_boot, unit.unit_name(container.name)),
        leftovers=_leftovers(container.name, path),
        empty=frozenset(path for path in PLACES if world.files.is_empty_directory(path)),
        unusable=(
            *((Unusable("init", container.init, no_reaper),) if no_reaper else ()),
            *no_groups,
            *unusable(container, image, layers, host.no_idmap, documents["config"], spent, starts, coming),
        )
        if container.state != "absent"
        else (),
        strayed=strayed(supervised, documents, host.neighbours, world),
        recorded=recorded,
        replaced=replaced(supervised, mounts, documents["config"], world),
        modes=_modes((*written, *directories, own_volumes(container.name)), world),
        reapers=reapers,
        no_reaper=no_reaper,
        spent=spent,
        groups=groups,
        shared_memory=shared_memory(supervised, mounts, documents["config"], container.shm_size, world),
    )


def _coming(container: Container, world: World) -> dict[str, bool]:
    """Sources of binds that are not there and will be, as plans before this one make them; whether each is a file."""
    sources = [mount.source for mount in container.mounts if mount.kind == "bind" and mount.source]
    found = {}
    for source in sources:
        if not os.path.lexists(source) and world.files.will_exist(source):
            found[source] = world.files.text(source) is not None
    return found


def _reapers(container: Container) -> tuple[tuple[str, ...], str]:
    """The host's programs for ``init: reaper``, or why there is none; looked for where the container asks for one."""
    if container.init == NONE or container.state == "absent":
        return (), ""
    from .._kernel import reaper  # here: few containers ask for it

    found = reaper.usable()
    return found, "" if found else reaper.why_none()


def _recorded(record: Mapping[str, Any] | None) -> Container | None:
    """What the record declares; None for one that means nothing to this version, and is declared again."""
    try:
        return container_of(record) if record is not None else None
    except (OptionError, KeyError):
        return None


def _image(container: Container, world: World) -> Image | None:
    try:
        return world.read(on_host, full_name(container.image or ""))
    except ImageError as error:
        raise Refused(f"image: '{container.image}': {error}") from None


def _layers(image: Image | None, home: str, digest: str | None) -> list[str]:
    """What the container's root shows, the topmost first."""
    if image is None:
        return []
    # What it wrote goes when another image takes the place of its own.
    written = [f"{home}/upper"] if digest == image.digest and os.path.isdir(f"{home}/upper") else []
    return [*written, *image.lowerdirs]


def _user(container: Container, image: Image | None, layers: list[str]) -> tuple[int, int, tuple[int, ...]] | str:
    if image is None:
        return (0, 0, ())
    try:
        return parse_user(container.user or image.config.get("User") or "0", lambda path: read_file(layers, path))
    except NoSuchUser as error:
        return str(error)
    except CannotTell as error:
        return f"the image's /etc/passwd and /etc/group cannot be read: {error}"


def _groups(container: Container, layers: list[str]) -> tuple[tuple[int, ...], tuple[Unusable, ...]]:
    """The IDs of ``group_add`` in the image, and names that it does not have; nothing of one that is yet to be made."""
    found: list[int] = []
    for group in container.group_add if layers else ():
        try:
            found.append(parse_group(group, lambda path: read_file(layers, path)))
        except NoSuchUser as error:
            return (), (Unusable("group_add", group, str(error), never=True),)
        except CannotTell as error:
            return (), (Unusable("group_add", group, f"the image's /etc/group cannot be read: {error}", never=True),)
    return tuple(found), ()


def _root(image: Image | None) -> tuple[int, int, int]:
    try:
        status = os.stat(image.layers[0]) if image is not None and image.layers else None
    except OSError:
        status = None  # the planner says that the layer is missing
    return (status.st_mode & 0o7777, status.st_uid, status.st_gid) if status is not None else (0o755, 0, 0)


def _files(name: str, with_unit: bool, world: World) -> dict[str, str | None]:
    home = directory(name)
    known = ("container.json", "hosts", "hostname", "resolv.conf", "bundle/config.json", "launch.json")
    paths = [f"{home}/{file}" for file in known] + ([unit.unit_path(name)] if with_unit else [])
    return {path: world.files.text(path) for path in paths}


def _directories(home: str, world: World) -> list[str]:
    known = ["", "/bundle", "/bundle/rootfs", "/log", "/upper", "/work", "/upper.before", "/work.before"]
    volumes = [f"/volumes/{name}" for name in world.files.names(f"{home}/volumes")]
    return [home + name for name in [*known, *volumes] if world.files.is_directory(home + name)]


def _modes(paths: Iterable[str], world: World) -> dict[str, int]:
    """Of those that exist."""
    found = ((path, world.files.mode(path)) for path in paths)
    return {path: mode for path, mode in found if mode is not None}


def _limit_files(container: Container, launch: Mapping[str, Any], resources: HostResources) -> tuple[str, ...]:
    return tuple(sorted({*(launch.get("files") or {}), *limits_to_files(container.limits, resources)}))


def _leftovers(name: str, cgroup: str) -> bool:
    return os.path.isdir(f"{locations.CONTAINERS_RUN}/{name}") or os.path.isdir(cgroup)
