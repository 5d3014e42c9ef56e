# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container is: as declared, as resolved against this host, and as observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._kernel import locations
from .._network.records import PortRange

#: Namespaces of a container that can be private, the host's or another container's.
NAMESPACES = ("user", "network", "pid", "ipc", "uts", "cgroup")
#: Size of a container's range of user and group IDs.
ID_RANGE = 65536
#: systemd's range for containers (systemd.io/UIDS-GIDS): nothing else on a well-kept host uses these IDs.
FIRST_ID = 524288
LAST_ID = 1878982656
#: Seconds that a person may have us wait: eleven days, and few enough for poll(2), which counts milliseconds.
LONGEST = 1_000_000


@dataclass(frozen=True)
class Attachment:
    """One network a container is on; empty ``addresses`` means: allocate one of each family."""

    network: str
    interface: str
    addresses: tuple[str, ...] = ()
    mac: str | None = None
    aliases: tuple[str, ...] = ()
    ports: tuple[PortRange, ...] = ()


@dataclass(frozen=True)
class ContainerMount:
    """One mount besides the defaults; ``source`` is a host path, or a volume's name for type ``volume``."""

    kind: str
    target: str
    source: str | None = None
    read_only: bool = False
    propagation: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Container:
    """A container as declared. None everywhere means: what the image says, or the default."""

    name: str
    state: str
    image: str | None = None
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    user: str | None = None
    init: str = "none"
    hostname: str | None = None
    networks: tuple[Attachment, ...] = ()
    mounts: tuple[ContainerMount, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    limits_required: bool = False
    namespaces: Mapping[str, str] = field(default_factory=dict)
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    seccomp: str = "default"
    read_only: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)
    rlimits: Mapping[str, str] = field(default_factory=dict)
    dns: tuple[str, ...] | None = None
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str | None = None
    stop_timeout: int = 10
    restart_policy: str = "no"
    restart_retries: int = 0
    log_max_size: int = 10 * 1024 * 1024
    log_max_files: int = 3
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str = "nsrun"
    purge_volumes: bool = False
    #: Set for the second look after a start: a process that has ended well by then is fine.
    just_started: bool = False
    #: The module's options as given that declare it: what the record on disk keeps, and what boot parses again.
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Resolved:
    """What this host decided for a container, kept stable from run to run.

    ``idmap`` is (first host ID, size) of its user namespace or None for the host's; ``addresses`` has one tuple of
    addresses with prefix an attachment; ``files`` are the control files to write, ``unenforced`` what cannot be
    (file -> who holds the controller); ``user`` is (uid, gid, additional gids) inside the container; ``namespaces``
    are those that are not its own (container_namespaces.py); ``reaper`` is the host's program for ``init: reaper``.
    """

    image_digest: str | None
    idmap: tuple[int, int] | None
    addresses: tuple[tuple[str, ...], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    unenforced: Mapping[str, str] = field(default_factory=dict)
    user: tuple[int, int, tuple[int, ...]] = (0, 0, ())
    namespaces: Mapping[str, str] = field(default_factory=dict)
    reaper: str | None = None


def netns_name(container: str) -> str:
    """The name of a container's own network namespace, and of the user namespace that owns it."""
    return locations.CONTAINER_NETNS + container
