# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be on a host so that declared things come back at boot, and the runtime that containers need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._core.errors import OptionError
from .._core.files import MakeDirectory, RemoveFile, WriteFile
from .._core.operation import Operation
from .._core.units import EnableUnit, InstallLibrary, ReloadUnits, RemoveIfEmpty, RemoveLibrary
from .._kernel import locations, record_file
from .._kernel.unit_files import requires_mounts_for

UNITS = "/etc/systemd/system"
#: Kind of the objects that need the runtime on the host with or without systemd.
CONTAINER = "ns_container"
#: These load rule sets of their own when they start, and some begin with nothing.
_FIREWALLS = ("nftables.service", "iptables.service", "firewalld.service", "ufw.service", "docker.service")


@dataclass(frozen=True)
class Service:
    """A unit that brings things back at boot, and its code: ``root`` holds the program ``restore``; ``what`` is what
    sentences call the code. barekernel-NAME.service is the container of that name, hence the other character here."""

    name: str
    description: str
    root: str
    after: tuple[str, ...]
    what: str
    #: Where the directory of our state is; two paths where it is a link.
    state: tuple[str, ...] = (locations.STATE,)

    @property
    def unit(self) -> str:
        return f"barekernel_{self.name}.service"

    @property
    def path(self) -> str:
        return f"{UNITS}/{self.unit}"

    @property
    def text(self) -> str:
        """Type=notify, as restore says that it is up before it waits for others (_boot/restoring.py)."""
        mounts = "\n".join(requires_mounts_for(self.state))
        return f"""\
# Written by barekernel.containers; removed with the last thing it brings back.
[Unit]
Description={self.description}
After={" ".join(self.after)}
Wants=network-pre.target
{mounts}
ConditionPathExists={self.root}/restore

[Service]
Type=notify
RemainAfterExit=yes
ExecStart={self.root}/restore
TimeoutStartSec=5min

[Install]
WantedBy=multi-user.target
"""


_EARLY = ("local-fs.target", "systemd-sysctl.service", "systemd-modules-load.service")
CGROUPS = Service(
    "cgroup_v2",
    "Limits declared with barekernel.containers",
    f"{locations.RESTORE}/cgroup_v2",
    _EARLY,
    "what restores cgroup_v2",
)
NETWORKS = Service(
    "networks",
    "Networks of containers declared with barekernel.containers",
    locations.LIBRARY,
    ("network-pre.target", *_EARLY, CGROUPS.unit, *_FIREWALLS),
    "nsrun",
)
LINKS = Service(
    "netns_veth",
    "Network namespaces and links declared with barekernel.containers",
    f"{locations.RESTORE}/netns_veth",
    ("network-pre.target", *_EARLY, NETWORKS.unit),
    "what restores netns_veth",
)
#: In the order in which they run; containers start after all of them.
SERVICES = (CGROUPS, NETWORKS, LINKS)


@dataclass(frozen=True)
class BootState:
    """What is there. ``declared`` has everything that the service brings back, as KIND/NAME; ``records`` the content of
    the records that are only kept for boot (path -> content), ``library`` the version of the code that is installed: ""
    for one that is not whole, None for none."""

    systemd: bool
    library: str | None
    library_wanted: str
    unit: str | None = None
    enabled: bool = False
    declared: frozenset[str] = frozenset()
    records: Mapping[str, str] = field(default_factory=dict)
    service: Service = NETWORKS


def record_path(key: str) -> str:
    """Where the options of KIND/NAME are kept for boot."""
    kind, _slash, name = key.partition("/")
    return f"{locations.BOOT}/{kind}/{name}.json"


def record_text(params: Mapping[str, Any], before: str | None = None) -> str:
    """The options as they are kept, with what a newer version of the collection has added to the text ``before``."""
    others = record_file.others(_parsed(before), ("params",))
    record = {**others, record_file.VERSION: record_file.FIRST, "params": dict(params)}
    return json.dumps(record, indent=1, sort_keys=True) + "\n"


def _parsed(text: str | None) -> dict[str, Any]:
    """A record as it was; empty for a damaged one, and for one of before records had a version (the options alone)."""
    try:
        record = json.loads(text or "")
    except ValueError:
        return {}
    return record if isinstance(record, dict) and "params" in record else {}


def check_systemd(running: bool) -> None:
    """For an option that asks for the next boot. Raises OptionError where nothing can be asked of it."""
    if not running:
        words = "systemd is not this host's service manager, and nothing else of ours runs at boot. Leave it out"
        raise OptionError("systemd", True, words)


def plan_boot_first(state: BootState, key: str, params: Mapping[str, Any] | None) -> list[Operation]:
    """For a thing that is to come back: the library, the unit and its record. ``params`` None keeps no record."""
    operations: list[Operation] = []
    service = state.service
    if (state.systemd or _kind(key) == CONTAINER) and state.library != state.library_wanted:
        operations.append(InstallLibrary(state.library_wanted, service.what))
    if state.systemd:
        if state.unit != service.text:
            operations.append(WriteFile(service.path, service.text, 0o644))
        if not state.enabled:
            operations.append(EnableUnit(service.unit))
        elif state.unit != service.text:
            operations.append(ReloadUnits())
    path = record_path(key)
    if params is not None and state.records.get(path) != (text := record_text(params, state.records.get(path))):
        directory = path.rpartition("/")[0]
        operations += [MakeDirectory(directory, 0o700), WriteFile(path, text, 0o600)]
    return operations


def plan_boot_last(state: BootState, key: str, removed: bool) -> list[Operation]:
    """For a thing that no longer comes back: with the last one the unit and the library; then its record.

    ``removed`` says that something of the thing itself is being removed (else nothing but a left record matters).
    """
    path = record_path(key)
    operations: list[Operation] = []
    # Without systemd nothing comes back at boot, and only containers need the library.
    others = {other for other in state.declared - {key} if state.systemd or _kind(other) == CONTAINER}
    if not others:
        if state.enabled:
            operations.append(EnableUnit(state.service.unit, False, reload=state.unit is None))
        if state.unit is not None:
            operations += [RemoveFile(state.service.path), ReloadUnits()]
        if state.library is not None:
            operations.append(RemoveLibrary(state.service.what))
    # Last, as whatever is interrupted before finds its way back here by the record.
    operations += [RemoveFile(path)] if path in state.records else []
    if operations or removed:
        shared = (path.rpartition("/")[0], locations.BOOT, locations.RESTORE, locations.STATE)
        operations += [RemoveIfEmpty(d) for d in shared]
    return operations


def _kind(key: str) -> str:
    return key.partition("/")[0]
