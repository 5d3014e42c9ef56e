# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""launch.json: all that is needed to bring a declared container up, written by ns_container."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._kernel import container_records, locations, record_file
from ..bundle.checks import absolute, obj, text
from ..errors import BundleError

VERSION = container_records.LAUNCH_VERSION
RESTART_POLICIES = ("no", "on-failure", "always", "unless-stopped")
#: Namespaces that may be those of another container's process; its network has a file of its own.
_JOINED = ("user", "pid", "ipc", "uts", "cgroup")


@dataclass(frozen=True)
class Rootfs:
    """The overlay to mount on bundle/rootfs. ``lowerdirs`` top first; ``idmap`` is (host_id, size) or None."""

    lowerdirs: tuple[str, ...]
    upperdir: str | None
    workdir: str | None
    idmap: tuple[int, int] | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Restart:
    """When the container is started again. ``max_retries`` 0 means without limit; delays in milliseconds."""

    policy: str = "no"
    max_retries: int = 0
    delay_ms: int = 100
    max_delay_ms: int = 60000


@dataclass(frozen=True)
class Stop:
    """How it is asked to end: the signal, and after ``timeout`` seconds cgroup.kill."""

    signal: str = "SIGTERM"
    timeout: float = 10.0


@dataclass(frozen=True)
class Log:
    """Where stdout and stderr go without systemd: JSON lines, rotated at ``max_size`` bytes, ``max_files`` kept."""

    path: str
    max_size: int = 10 * 1024 * 1024
    max_files: int = 3


@dataclass(frozen=True)
class Launch:
    """The document, checked. ``namespaces``: those of another container's process to join, by kind its name."""

    id: str
    bundle: str
    cgroup: str
    runtime: str = "nsrun"
    rootfs: Rootfs | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    namespaces: Mapping[str, str] = field(default_factory=dict)
    restart: Restart = field(default_factory=Restart)
    stop: Stop = field(default_factory=Stop)
    log: Log | None = None


def path_of(name: str) -> str:
    """Where the launch.json of a declared container is."""
    return f"{locations.CONTAINERS}/{name}/launch.json"


def load(path: str) -> Launch:
    """Read and check one. Raises BundleError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            document = json.load(handle)
    except OSError as error:
        raise BundleError("launch", path, f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BundleError("launch", path, f"is not JSON: {error}") from None
    return parse(document)


def parse(document: Any) -> Launch:
    """Check a document. Raises BundleError that names the key."""
    top = obj("launch", document)
    version = top.get("version", VERSION)
    if version != VERSION:
        raise BundleError("version", version, f"this nsrun reads version {VERSION}; run the playbook again")
    log = top.get("log")
    restart = Restart(**_fields("restart", top.get("restart"), Restart))
    if restart.policy not in RESTART_POLICIES:
        raise BundleError("restart.policy", restart.policy, "is not one of " + ", ".join(RESTART_POLICIES))
    return Launch(
        id=text("id", top.get("id")),
        bundle=absolute("bundle", top.get("bundle")),
        cgroup=absolute("cgroup", top.get("cgroup")),
        runtime=text("runtime", top.get("runtime", "nsrun")),
        rootfs=_rootfs(top.get("rootfs")),
        files={str(k): str(v) for k, v in obj("files", top.get("files") or {}).items()},
        namespaces=_namespaces(top.get("namespaces")),
        restart=restart,
        stop=_stop(top.get("stop")),
        log=Log(**_fields("log", log, Log)) if log else None,
    )


def _rootfs(value: Any) -> Rootfs | None:
    if value is None:
        return None
    entry = obj("rootfs", value)
    lowerdirs = entry.get("lowerdirs")
    if not isinstance(lowerdirs, list) or not lowerdirs:
        raise BundleError("rootfs.lowerdirs", lowerdirs, "must be a list of at least one directory")
    idmap = entry.get("idmap")
    return Rootfs(
        lowerdirs=tuple(absolute("rootfs.lowerdirs", d) for d in lowerdirs),
        upperdir=entry.get("upperdir"),
        workdir=entry.get("workdir"),
        idmap=(int(idmap["host_id"]), int(idmap["size"])) if idmap else None,
        options={str(k): str(v) for k, v in obj("rootfs.options", entry.get("options") or {}).items()},
    )


def _namespaces(value: Any) -> dict[str, str]:
    given = obj("namespaces", value or {})
    for kind, other in given.items():
        if kind not in _JOINED:
            raise BundleError(f"namespaces.{kind}", other, "is not one of " + ", ".join(_JOINED))
        if "/" in text(f"namespaces.{kind}", other):
            raise BundleError(f"namespaces.{kind}", other, "is no container's name")
    return dict(given)


def _stop(value: Any) -> Stop:
    """The signal may come from an image and goes into a unit's file: letters, digits and a plus, nothing else."""
    stop = Stop(**_fields("stop", value, Stop))
    if not stop.signal.replace("+", "").isalnum():
        raise BundleError("stop.signal", stop.signal, "is no signal")
    return stop


def _fields(prop: str, value: Any, cls: Any) -> dict[str, Any]:
    """The keys of an object that its record knows (record_file.py). Raises BundleError for one of another type."""
    known = cls.__dataclass_fields__
    given = record_file.known(obj(prop, value or {}), known)
    kinds = {"int": (int,), "float": (int, float), "str": (str,)}
    for name, item in given.items():
        if not isinstance(item, kinds[known[name].type]) or isinstance(item, bool):
            raise BundleError(f"{prop}.{name}", item, f"must be a {known[name].type}")
    return given
