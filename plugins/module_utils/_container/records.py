# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container is: as declared, as resolved against this host, and as observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._core.operation import LIVE, RECREATE
from .._core.texts import variables
from .._kernel import locations
from .._kernel.process import LONGEST_WAIT
from .._network.records import PortRange
from . import options_values as values
from .option import declared, option, options_of

#: Namespaces of a container that can be private, the host's or another container's.
NAMESPACES = ("user", "network", "pid", "ipc", "uts", "cgroup")
#: Size of a container's range of user and group IDs.
ID_RANGE = 65536
#: systemd's range for containers (systemd.io/UIDS-GIDS): nothing else on a well-kept host uses these IDs.
FIRST_ID = 524288
LAST_ID = 1878982656


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
    """A container as declared. None everywhere means: what the image says, or the default.

    Each option of ns_container is declared here, and only here (option.py).
    """

    name: str = field(metadata=declared("str", values.name, required=True))
    state: str = field(
        metadata=declared(
            "str",
            values.as_given,
            how=LIVE,
            of_task=True,
            choices=["present", "started", "stopped", "restarted", "absent"],
            default="started",
        )
    )
    image: str | None = option(None, "str", values.as_given, how=RECREATE)
    command: tuple[str, ...] | None = option(None, "list", values.argv, place="config.process.args")
    args: tuple[str, ...] | None = option(None, "list", values.argv)
    env: Mapping[str, str] = option({}, "dict", variables, place="config.process.env", no_log=True)
    cwd: str | None = option(None, "str", values.absolute, place="config.process.cwd", compose="working_dir")
    user: str | None = option(None, "str", values.as_given, place="config.process.user", compose="user")
    group_add: tuple[str, ...] = option((), "list", values.groups, compose="group_add")
    init: str = option(values.NONE, "str", values.init)
    hostname: str | None = option(None, "str", values.host_name, place="config.hostname", compose="hostname")
    domainname: str | None = option(
        None, "str", values.host_name, place="config.domainname", as_is=True, needs="uts", compose="domainname"
    )
    networks: tuple[Attachment, ...] = option((), "list", None, how=LIVE, elements="dict")
    mounts: tuple[ContainerMount, ...] = option((), "list", None, elements="dict")
    limits: Mapping[str, Any] = option({}, "dict", values.those_set, how=LIVE, place="config.linux.resources")
    limits_required: bool = option(False, "bool", values.as_given, how=LIVE)
    oom_score_adj: int | None = option(
        None,
        "int",
        values.within(-1000, 1000),
        place="config.process.oomScoreAdj",
        as_is=True,
        compose="oom_score_adj",
    )
    shm_size: int = option(
        64 << 20, "str", values.size(4096, 1 << 50), how=LIVE, needs="ipc", compose="shm_size", default="64M"
    )
    namespaces: Mapping[str, str] = option({}, "dict", None, how=RECREATE, place="config.linux.namespaces")
    cap_add: tuple[str, ...] = option((), "list", values.capabilities, compose="cap_add")
    cap_drop: tuple[str, ...] = option((), "list", values.capabilities, compose="cap_drop")
    seccomp: str = option("default", "str", values.as_given, choices=["default", "unconfined"])
    read_only: bool = option(
        False, "bool", values.as_given, place="config.root.readonly", as_is=True, compose="read_only"
    )
    sysctls: Mapping[str, str] = option({}, "dict", None, place="config.linux.sysctl", as_is=True)
    rlimits: Mapping[str, str] = option({}, "dict", values.rlimits, place="config.process.rlimits")
    dns: tuple[str, ...] | None = option(None, "list", values.servers, how=LIVE, compose="dns")
    dns_search: tuple[str, ...] = option((), "list", values.search_domains, how=LIVE, compose="dns_search")
    dns_options: tuple[str, ...] = option((), "list", values.resolver_options, how=LIVE, compose="dns_opt")
    extra_hosts: Mapping[str, str] = option({}, "dict", values.hosts, how=LIVE)
    # Whoever watches the container (the supervisor, systemd after a reload) reads these again when they matter.
    stop_signal: str | None = option(
        None, "str", values.signal, how=LIVE, place="launch.stop.signal", compose="stop_signal"
    )
    stop_timeout: int = option(
        10, "int", values.within(0, LONGEST_WAIT), how=LIVE, place="launch.stop.timeout", as_is=True
    )
    restart_policy: str = option("no", "str", None, how=LIVE, place="launch.restart")
    restart_retries: int = 0
    log_max_size: int = option(
        10 << 20, "str", values.size(4096, 1 << 40), how=LIVE, place="launch.log.max_size", as_is=True, default="10M"
    )
    log_max_files: int = option(3, "int", values.within(1, 1000), how=LIVE, place="launch.log.max_files", as_is=True)
    labels: Mapping[str, str] = option({}, "dict", values.texts, how=LIVE, place="config.annotations")
    runtime: str = option("nsrun", "str", values.runtime, place="launch.runtime", as_is=True, compose="runtime")
    purge_volumes: bool = option(False, "bool", values.as_given, of_task=True)
    #: Set for the second look after a start: a process that has ended well by then is fine.
    just_started: bool = False
    #: The module's options as given that declare it: what the record on disk keeps, and what boot parses again.
    params: Mapping[str, Any] = field(default_factory=dict)


#: Every option of ns_container, by its name.
OPTIONS = options_of(Container)
#: What a container is of which nothing is declared.
UNDECLARED = Container("", "present")


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
