# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""config.json of an OCI bundle, checked: what of it this runtime does, and a clear refusal of what it does not.

https://github.com/opencontainers/runtime-spec (1.2): config.md and config-linux.md. Properties that the specification
does not know are ignored, as it demands. Records are named tuples: dataclasses cost the start path 10 ms.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..._kernel import capabilities, clone, regular
from ..errors import BundleError
from .checks import absolute, integer, obj, text
from .mount_entry import MountEntry, parse_mount

#: linux.namespaces[].type
NAMESPACES = {
    "user": clone.CLONE_NEWUSER,
    "pid": clone.CLONE_NEWPID,
    "network": clone.CLONE_NEWNET,
    "mount": clone.CLONE_NEWNS,
    "ipc": clone.CLONE_NEWIPC,
    "uts": clone.CLONE_NEWUTS,
    "cgroup": clone.CLONE_NEWCGROUP,
    "time": clone.CLONE_NEWTIME,
}
#: setrlimit(2): the numbers of x86_64 and aarch64.
RLIMITS = {
    f"RLIMIT_{name}": number
    for number, name in enumerate(
        ("CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME").split()
    )
}
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
#: What this runtime does not do yet: named, so that nobody believes it was done.
_UNSUPPORTED_PROCESS = ("apparmorProfile", "selinuxLabel", "ioPriority", "scheduler", "execCPUAffinity")
_UNSUPPORTED_LINUX = ("intelRdt", "mountLabel", "netDevices", "memoryPolicy")
_PERSONALITIES = {"LINUX": 0x0, "LINUX32": 0x8}
_PROPAGATIONS = ("", *(p for kind in ("private", "shared", "slave", "unbindable") for p in (kind, "r" + kind)))


class Process(NamedTuple):
    """``process``. Capability sets are bit sets by name; rlimits are (resource, soft, hard)."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    umask: int | None
    terminal: bool
    console_size: tuple[int, int] | None
    capabilities: Mapping[str, int]
    rlimits: tuple[tuple[int, int, int], ...]
    no_new_privileges: bool
    oom_score_adj: int | None


class Namespace(NamedTuple):
    """One of ``linux.namespaces``: its CLONE_NEW* flag, and the path of the one to join (None: a new one)."""

    kind: str
    flag: int
    path: str | None


class IdMapping(NamedTuple):
    """One line of a user namespace's map."""

    container_id: int
    host_id: int
    size: int


class Device(NamedTuple):
    """One of ``linux.devices``; kind is c, b or p."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int


class Hook(NamedTuple):
    """A program to run at a point of the container's life. ``timeout`` in seconds."""

    path: str
    args: tuple[str, ...]
    env: tuple[str, ...] | None
    timeout: int | None


class Spec(NamedTuple):
    """The document."""

    version: str
    process: Process | None
    rootfs: str
    readonly: bool
    hostname: str | None
    domainname: str | None
    mounts: tuple[MountEntry, ...]
    hooks: Mapping[str, tuple[Hook, ...]]
    annotations: Mapping[str, str]
    namespaces: tuple[Namespace, ...]
    uid_mappings: tuple[IdMapping, ...]
    gid_mappings: tuple[IdMapping, ...]
    devices: tuple[Device, ...]
    cgroups_path: str | None
    resources: Mapping[str, Any]
    rootfs_propagation: str
    seccomp: Mapping[str, Any] | None
    sysctl: Mapping[str, str]
    masked_paths: tuple[str, ...]
    readonly_paths: tuple[str, ...]
    time_offsets: Mapping[str, tuple[int, int]]
    personality: int | None

    def namespace(self, kind: str) -> Namespace | None:
        """The entry of that type, None where the container keeps the runtime's own."""
        return next((n for n in self.namespaces if n.kind == kind), None)

    def has_new(self, kind: str) -> bool:
        """Whether a new namespace of that type is made."""
        found = self.namespace(kind)
        return found is not None and found.path is None


def load(bundle: str) -> Spec:
    """Read and check a bundle's config.json. Raises BundleError."""
    path = os.path.join(bundle, "config.json")
    try:
        with regular.opened(path) as handle:
            document = json.loads(handle.read().decode("utf-8", "surrogateescape"))
    except OSError as error:
        raise BundleError("bundle", path, f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BundleError("bundle", path, f"is not JSON: {error}") from None
    return parse(document, os.path.realpath(bundle))


def parse(document: Any, bundle: str) -> Spec:
    """Check a document; relative paths are relative to the bundle. Raises BundleError that names the property."""
    top = obj("config.json", document)
    version = text("ociVersion", top.get("ociVersion"))
    if not version.startswith("1."):
        raise BundleError("ociVersion", version, "only 1.x is known")
    for name in ("windows", "solaris", "vm", "zos"):
        if top.get(name):
            raise BundleError(name, "...", "is not for Linux containers of this runtime")
    linux = obj("linux", top.get("linux") or {})
    for name in _UNSUPPORTED_LINUX:
        _refuse(f"linux.{name}", linux.get(name))
    root = obj("root", top.get("root"))
    propagation = linux.get("rootfsPropagation") or ""
    if propagation not in _PROPAGATIONS:
        raise BundleError("linux.rootfsPropagation", propagation, "is not a propagation type")
    spec = Spec(
        version=version,
        process=parse_process(top["process"]) if top.get("process") else None,
        rootfs=os.path.join(bundle, text("root.path", root.get("path"))),
        readonly=bool(root.get("readonly")),
        hostname=top.get("hostname") or None,
        domainname=top.get("domainname") or None,
        mounts=tuple(parse_mount(f"mounts[{i}]", m, bundle) for i, m in enumerate(top.get("mounts") or [])),
        hooks=_hooks(obj("hooks", top.get("hooks") or {})),
        annotations={str(k): str(v) for k, v in (top.get("annotations") or {}).items()},
        namespaces=_namespaces(linux.get("namespaces") or []),
        uid_mappings=_mappings("linux.uidMappings", linux.get("uidMappings")),
        gid_mappings=_mappings("linux.gidMappings", linux.get("gidMappings")),
        devices=tuple(_device(f"linux.devices[{i}]", d) for i, d in enumerate(linux.get("devices") or [])),
        cgroups_path=linux.get("cgroupsPath") or None,
        resources=obj("linux.resources", linux.get("resources") or {}),
        rootfs_propagation=propagation,
        seccomp=linux.get("seccomp") or None,
        sysctl={str(k): str(v) for k, v in (linux.get("sysctl") or {}).items()},
        masked_paths=tuple(absolute("linux.maskedPaths", p) for p in linux.get("maskedPaths") or []),
        readonly_paths=tuple(absolute("linux.readonlyPaths", p) for p in linux.get("readonlyPaths") or []),
        time_offsets=_time_offsets(linux.get("timeOffsets") or {}),
        personality=_personality(linux.get("personality")),
    )
    from .spec_rules import check  # a file of its own: rules between properties

    check(spec)
    return spec


def parse_process(value: Any) -> Process:
    """``process``, also that of ``exec --process``. Raises BundleError."""
    entry = obj("process", value)
    for name in _UNSUPPORTED_PROCESS:
        _refuse(f"process.{name}", entry.get(name))
    user = obj("process.user", entry.get("user") or {})
    size = entry.get("consoleSize")
    adjust = entry.get("oomScoreAdj")
    if adjust is not None and not -1000 <= integer("process.oomScoreAdj", adjust) <= 1000:
        raise BundleError("process.oomScoreAdj", adjust, "must be between -1000 and 1000")
    args = tuple(text("process.args", a, empty=True) for a in entry.get("args") or [])
    if not args:
        raise BundleError("process.args", entry.get("args"), "must name a program")
    return Process(
        args=args,
        env=tuple(text("process.env", e) for e in entry.get("env") or []),
        cwd=absolute("process.cwd", entry.get("cwd")),
        uid=integer("process.user.uid", user.get("uid", 0)),
        gid=integer("process.user.gid", user.get("gid", 0)),
        groups=tuple(integer("process.user.additionalGids", g) for g in user.get("additionalGids") or []),
        umask=user.get("umask"),
        terminal=bool(entry.get("terminal")),
        console_size=(int(size["height"]), int(size["width"])) if size else None,
        capabilities=_capabilities(obj("process.capabilities", entry.get("capabilities") or {})),
        rlimits=tuple(_rlimit(f"process.rlimits[{i}]", r) for i, r in enumerate(entry.get("rlimits") or [])),
        no_new_privileges=bool(entry.get("noNewPrivileges")),
        oom_score_adj=adjust,
    )


def _capabilities(value: Mapping[str, Any]) -> dict[str, int]:
    sets = {}
    for name in capabilities.SETS:
        listed = value.get(name) or []
        try:
            sets[name] = capabilities.mask(listed)
        except KeyError as error:
            raise BundleError(f"process.capabilities.{name}", error.args[0], "is not a capability") from None
    return sets


def _rlimit(prop: str, value: Any) -> tuple[int, int, int]:
    entry = obj(prop, value)
    kind = entry.get("type")
    if kind not in RLIMITS:
        raise BundleError(f"{prop}.type", kind, "is not a resource limit; see setrlimit(2)")
    soft, hard = (integer(f"{prop}.{name}", entry.get(name)) for name in ("soft", "hard"))
    if soft > hard:
        raise BundleError(f"{prop}.soft", soft, f"is above the hard limit {hard}")
    return RLIMITS[kind], soft, hard


def namespaces(document: Any) -> tuple[Namespace, ...]:
    """Those of a config.json. Raises BundleError."""
    return _namespaces(obj("linux", obj("config.json", document).get("linux") or {}).get("namespaces") or [])


def _namespaces(value: Any) -> tuple[Namespace, ...]:
    found: dict[str, Namespace] = {}
    for i, item in enumerate(value):
        entry = obj(f"linux.namespaces[{i}]", item)
        kind = entry.get("type")
        if kind not in NAMESPACES:
            raise BundleError(f"linux.namespaces[{i}].type", kind, "is not one of " + ", ".join(NAMESPACES))
        if kind in found:
            raise BundleError(f"linux.namespaces[{i}].type", kind, "is listed twice")
        path = entry.get("path") or None
        if path is not None:
            absolute(f"linux.namespaces[{i}].path", path)
        found[kind] = Namespace(kind, NAMESPACES[kind], path)
    return tuple(found.values())


def _mappings(prop: str, value: Any) -> tuple[IdMapping, ...]:
    keys = ("containerID", "hostID", "size")
    return tuple(
        IdMapping(*(integer(f"{prop}[{i}].{k}", obj(prop, item).get(k)) for k in keys))
        for i, item in enumerate(value or [])
    )


def _device(prop: str, value: Any) -> Device:
    entry = obj(prop, value)
    kind = {"u": "c"}.get(entry.get("type", ""), entry.get("type"))
    if kind not in ("c", "b", "p"):
        raise BundleError(f"{prop}.type", entry.get("type"), "must be c, b, u or p")
    return Device(
        path=absolute(f"{prop}.path", entry.get("path")),
        kind=str(kind),
        major=integer(f"{prop}.major", entry.get("major", 0)),
        minor=integer(f"{prop}.minor", entry.get("minor", 0)),
        mode=integer(f"{prop}.fileMode", entry.get("fileMode", 0o666)),
        uid=integer(f"{prop}.uid", entry.get("uid", 0)),
        gid=integer(f"{prop}.gid", entry.get("gid", 0)),
    )


def _hooks(value: Mapping[str, Any]) -> dict[str, tuple[Hook, ...]]:
    return {kind: tuple(_hook(f"hooks.{kind}[{i}]", h) for i, h in enumerate(value.get(kind) or [])) for kind in HOOKS}


def _hook(prop: str, value: Any) -> Hook:
    entry = obj(prop, value)
    env, path = entry.get("env"), absolute(f"{prop}.path", entry.get("path"))
    timeout = entry.get("timeout")
    if timeout is not None and integer(f"{prop}.timeout", timeout) <= 0:
        raise BundleError(f"{prop}.timeout", timeout, "must be above 0")
    return Hook(path, tuple(entry.get("args") or [path]), tuple(env) if env is not None else None, timeout)


def _time_offsets(value: Any) -> dict[str, tuple[int, int]]:
    offsets = {}
    for clock, offset in obj("linux.timeOffsets", value).items():
        if clock not in ("monotonic", "boottime"):
            raise BundleError("linux.timeOffsets", clock, "must be monotonic or boottime")
        offsets[clock] = (int(offset.get("secs", 0)), int(offset.get("nanosecs", 0)))
    return offsets


def _personality(value: Any) -> int | None:
    if not value:
        return None
    domain = obj("linux.personality", value).get("domain")
    if domain not in _PERSONALITIES or value.get("flags"):
        raise BundleError("linux.personality", value, "only the domains LINUX and LINUX32 without flags are supported")
    return _PERSONALITIES[domain]


def _refuse(prop: str, value: Any) -> None:
    if value:
        raise BundleError(prop, value, "is not supported by this runtime yet: leave it out, or use another runtime")
