# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a planner sees of a host that has, or is to have, a container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._image.store.store import Image
from .._kernel.cgroup_state import CgroupState
from .._kernel.host_resources import HostResources
from .._kernel.nft import Element, Table
from .._kernel.sockets import Listener
from .._kernel.subids import Granted
from .._network.records import Network
from .._runtime.supervise.control import Supervised
from .records import Container

if TYPE_CHECKING:  # it plans with these records
    from .plan_network import ContainerNetwork


@dataclass(frozen=True)
class Neighbour:
    """Another container of this host: as declared, what was resolved for it, and its process where it runs."""

    container: Container
    record: Mapping[str, Any]
    pid: int | None = None
    start_time: int | None = None


@dataclass(frozen=True)
class Host:
    """What is true of the host, whatever the container.

    ``no_idmap`` says why a container cannot have a user namespace with idmapped layers; empty where it can.
    ``elements`` is what our nftables table should hold of networks, and of other containers where it is damaged;
    ``localnet`` are the live values of route_localnet on the bridges, by network.
    ``absent`` are addresses to publish on that this host does not have.
    ``places`` are the paths that the container needs, as they are named and where links lead.
    """

    resolv_conf: str
    no_idmap: str
    systemd: bool
    systemd_version: int
    resources: HostResources
    identity: str = ""
    nodename: str = ""
    networks: Mapping[str, Network] = field(default_factory=dict)
    table: Table | None = None
    neighbours: tuple[Neighbour, ...] = ()
    volumes: frozenset[str] = frozenset()
    granted_ids: tuple[Granted, ...] = ()
    listeners: tuple[Listener, ...] = ()
    holders: Mapping[int, str] = field(default_factory=dict)
    elements: tuple[Element, ...] = ()
    absent: frozenset[str] = frozenset()
    localnet: Mapping[str, str | None] = field(default_factory=dict)
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unusable:
    """An option whose value this host, or the image, cannot do with: no container could be started with it.

    ``never`` where nothing is to be made of it either, as something else would start it one day; ``absent`` where it
    names something that an earlier task may make.
    """

    option: str
    value: Any
    why: str
    never: bool = False
    absent: bool = False


@dataclass(frozen=True)
class SharedMemory:
    """The tmpfs at /dev/shm: bytes that it can hold and, where it is to hold less, bytes that are used in it."""

    size: int
    used: int = 0


@dataclass(frozen=True)
class ContainerObserved:
    """One container as it is.

    ``files`` holds the raw content of what we wrote for it (path -> content, None where missing), ``modes`` the modes
    of these and of ``directories``; ``documents`` the parsed config.json and launch.json. ``user`` is what the declared
    or the image's user is in the image, or the reason why it is not. ``root`` is (mode, uid, gid) of the image's root
    directory. ``directories`` are those of the container's own that exist, ``empty`` those that containers share and
    that have nothing in them. ``unusable`` is what would keep it from being started. ``strayed`` are the kinds of
    namespaces that it is in, and that are not those of its name or of the container that it shares them with any more.
    ``recorded`` is the container as its record declares it. ``replaced`` are targets of mounts whose source
    (target -> source) is another file by now. ``reapers`` are the host's programs for ``init: reaper``, where the
    container asks for one, and ``no_reaper`` says why there is none. ``spent`` are paths below ``upper`` that were
    mount points, and are of another kind than what is to be mounted there. ``groups`` are the IDs of ``group_add`` in
    the image. ``shared_memory`` is the file system at /dev/shm of a container that runs, where that is ours.
    """

    host: Host
    record: Mapping[str, Any] | None
    supervised: Supervised
    image: Image | None
    user: tuple[int, int, tuple[int, ...]] | str
    root: tuple[int, int, int]
    files: Mapping[str, str | None]
    documents: Mapping[str, Any]
    directories: frozenset[str]
    cgroup: CgroupState
    network: ContainerNetwork | None
    unit_enabled: bool = False
    leftovers: bool = False
    empty: frozenset[str] = frozenset()
    unusable: tuple[Unusable, ...] = ()
    strayed: tuple[str, ...] = ()
    recorded: Container | None = None
    replaced: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    reapers: tuple[str, ...] = ()
    no_reaper: str = ""
    spent: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    shared_memory: SharedMemory | None = None
