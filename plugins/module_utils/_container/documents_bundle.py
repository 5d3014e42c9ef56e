# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container as an OCI bundle: config.json of the OCI runtime-spec, from declared and resolved state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._image.format.variables import variables_of
from .._runtime.bundle import defaults
from . import plan_init
from .option import write_as_is
from .plan_volumes import volumes_of
from .records import OPTIONS, Container, ContainerMount, Resolved

#: Inside the container, the files that the container's own directory holds for it.
IDENTITY_FILES = ("hosts", "hostname", "resolv.conf")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What every other runtime knows: older releases of crun refuse a later version, whatever the bundle uses of it.
_OTHERS_OCI_VERSION = "1.0.2"
#: The parameter that is the same as the property ``domainname``.
DOMAIN_SYSCTL = "kernel.domainname"
_OCI_NAMESPACE = {
    "user": "user",
    "network": "network",
    "pid": "pid",
    "ipc": "ipc",
    "uts": "uts",
    "cgroup": "cgroup",
}


@dataclass(frozen=True)
class Places:
    """Where things are on this host: the container's directory, its cgroup's path below the cgroup2 mount, the
    files that stand for its namespaces (OCI namespace type -> path; a private one without an entry is made by the
    runtime) and the directory of each volume."""

    directory: str
    cgroup: str
    namespaces: Mapping[str, str]
    volumes: Mapping[str, str]


def process_args(container: Container, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The argv: ``command`` stands for Entrypoint and ``args`` for Cmd; a new command drops the image's Cmd."""
    entrypoint = tuple(config.get("Entrypoint") or ())
    cmd = tuple(config.get("Cmd") or ())
    if container.command is not None:
        return container.command + (container.args or ())
    return entrypoint + (container.args if container.args is not None else cmd)


def environment(container: Container, config: Mapping[str, Any]) -> list[str]:
    """PATH and HOSTNAME, then the image's, then the declared ones; a later one wins. Sorted, so that it compares."""
    merged = {"PATH": PATH, "HOSTNAME": hostname(container)}
    merged.update(variables_of(config))
    merged.update(container.env)
    return [f"{name}={value}" for name, value in sorted(merged.items())]


def hostname(container: Container) -> str:
    """The declared host name, or the container's name."""
    return container.hostname or container.name


def config_json(
    container: Container, resolved: Resolved, image_config: Mapping[str, Any], places: Places
) -> dict[str, Any]:
    """config.json as a dictionary (OCI runtime-spec config.md and config-linux.md)."""
    ordered = _in_order(container, image_config)
    below = [mount for mount in ordered if _shows_identity(mount)]
    beside = [mount for mount in ordered if mount not in below]
    document: dict[str, Any] = {
        "ociVersion": defaults.OCI_VERSION if container.runtime == "nsrun" else _OTHERS_OCI_VERSION,
        "process": _process(container, resolved, image_config),
        "root": {"path": "rootfs"},
        "mounts": [
            *_default_mounts(container),
            *plan_init.mounts_of(resolved.reaper),
            *(_declared_mount(mount, resolved, places) for mount in below),
            *_identity_mounts(places),
            *(_declared_mount(mount, resolved, places) for mount in beside),
        ],
        "annotations": _annotations(container, image_config),
        "linux": _linux(container, resolved, places),
    }
    if container.namespaces.get("uts", "private") == "private":
        document["hostname"] = hostname(container)
    write_as_is(document, "config", container, OPTIONS)
    if container.domainname and container.runtime != "nsrun" and not resolved.idmap:
        # runc before 1.2 ignores the property, without an error. In a user namespace the parameter cannot be written.
        document["linux"]["sysctl"][DOMAIN_SYSCTL] = document.pop("domainname")
    return document


def _annotations(container: Container, image_config: Mapping[str, Any]) -> dict[str, str]:
    """The image's labels and what else of it has no place in a bundle (OCI image-spec conversion.md), then our own."""
    exposed = sorted(image_config.get("ExposedPorts") or ())
    ports = {"org.opencontainers.image.exposedPorts": ",".join(exposed)} if exposed else {}
    return {**(image_config.get("Labels") or {}), **ports, **container.labels}


def _process(container: Container, resolved: Resolved, image_config: Mapping[str, Any]) -> dict[str, Any]:
    uid, gid, groups = resolved.user
    held = capabilities(container)
    return {
        "terminal": False,
        "user": {"uid": uid, "gid": gid, "additionalGids": list(groups)},
        "args": plan_init.args_with(resolved.reaper, process_args(container, image_config)),
        "env": environment(container, image_config),
        "cwd": container.cwd or image_config.get("WorkingDir") or "/",
        # A user other than root gets them back through no file: no_new_privileges is always on.
        "capabilities": {
            "bounding": held,
            "effective": held if uid == 0 else [],
            "permitted": held if uid == 0 else [],
            "inheritable": [],
            "ambient": [],
        },
        "rlimits": [_rlimit(name, value) for name, value in sorted(container.rlimits.items())],
        "noNewPrivileges": True,
    }


def capabilities(container: Container) -> list[str]:
    """Those it has: the default ones without what is dropped, and what is added."""
    dropped = set(container.cap_drop)
    base = set() if "ALL" in dropped else set(defaults.CAPABILITIES) - dropped
    return sorted(base | set(container.cap_add))


def _rlimit(name: str, value: str) -> dict[str, Any]:
    soft, _colon, hard = value.partition(":")
    return {"type": "RLIMIT_" + name.upper(), "soft": int(soft), "hard": int(hard or soft)}


def _shows_host_sys(container: Container) -> bool:
    """With the host's network, as a new sysfs would show another namespace's devices, or be refused."""
    return container.namespaces.get("network", "private") != "private"


def _masked_too(container: Container) -> tuple[str, ...]:
    return defaults.BELOW_HOST_SYS if _shows_host_sys(container) and container.runtime != "nsrun" else ()


def _default_mounts(container: Container) -> list[dict[str, Any]]:
    """The file systems of config-linux.md, or the host's /sys in place of a new one."""
    mounts = defaults.default_mounts(container.shm_size)
    if _shows_host_sys(container):
        # Without what is mounted below it (debugfs, tracefs, bpf, securityfs, ...). Other runtimes bind it inside the
        # user namespace, where the kernel allows only all of it: there, masks.
        each = "" if container.runtime == "nsrun" else "r"
        options = [f"{each}{word}" for word in ("bind", "nosuid", "noexec", "nodev", "ro")]
        sysfs = {"destination": "/sys", "type": "bind", "source": "/sys", "options": options}
        mounts = [sysfs if mount["destination"] == "/sys" else mount for mount in mounts]
    if container.namespaces.get("ipc", "private") == "host":
        mounts = [_host_shm(mount) for mount in mounts if mount["destination"] != "/dev/mqueue"]
    return mounts


def _host_shm(mount: dict[str, Any]) -> dict[str, Any]:
    """With the host's IPC namespace its shared memory is shown; message queues need no mount to be used."""
    if mount["destination"] != "/dev/shm":
        return mount
    return {**mount, "type": "bind", "source": "/dev/shm", "options": ["rbind", "nosuid", "noexec", "nodev"]}


def _identity_mounts(places: Places) -> list[dict[str, Any]]:
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{places.directory}/{name}",
            "options": ["bind", "ro", "nosuid", "nodev", "noexec", "rprivate"],
        }
        for name in IDENTITY_FILES
    ]


def _shows_identity(mount: ContainerMount) -> bool:
    """Whether the identity files are mounted on it. A directory of the host is shown as it is, nothing made there."""
    read_only = mount.read_only or not {"ro", "rro"}.isdisjoint(mount.options)
    return mount.target.rstrip("/") == "/etc" and mount.kind in ("volume", "tmpfs") and not read_only


def _in_order(container: Container, image_config: Mapping[str, Any]) -> list[ContainerMount]:
    """All that is declared; a mount below another one must come after it."""
    others = [mount for mount in container.mounts if mount.kind != "volume"]
    return sorted(
        [*others, *volumes_of(container, image_config)], key=lambda mount: mount.target.rstrip("/").split("/")
    )


def _declared_mount(mount: ContainerMount, resolved: Resolved, places: Places) -> dict[str, Any]:
    if mount.kind == "tmpfs":
        options = ["nosuid", "nodev", *(["ro"] if mount.read_only else []), *mount.options]
        return {"destination": mount.target, "type": "tmpfs", "source": "tmpfs", "options": options}
    source = places.volumes[mount.source or ""] if mount.kind == "volume" else mount.source
    # Recursive attributes: without them what is mounted below the source stays writable and keeps its setuid files.
    mode = ["rro"] if mount.read_only else []
    options = ["rbind", "rnosuid", "rnodev", *mode, mount.propagation or "rprivate", *mount.options]
    entry: dict[str, Any] = {"destination": mount.target, "type": "bind", "source": source, "options": options}
    # A volume is ours and holds unshifted IDs, like the layers; a host directory is shifted only when asked.
    if resolved.idmap and mount.kind == "volume" and "idmap" not in mount.options:
        entry["options"].append("idmap")
    return entry


def mappings(idmap: tuple[int, int]) -> list[dict[str, int]]:
    """LinuxIDMapping of config-linux.md: container 0.. is host_id.."""
    host_id, size = idmap
    return [{"containerID": 0, "hostID": host_id, "size": size}]


def _linux(container: Container, resolved: Resolved, places: Places) -> dict[str, Any]:
    linux: dict[str, Any] = {
        "namespaces": _namespaces(container, places),
        "cgroupsPath": places.cgroup,
        "maskedPaths": [*defaults.MASKED_PATHS, *_masked_too(container)],
        "readonlyPaths": list(defaults.READONLY_PATHS),
        "rootfsPropagation": "rprivate",
    }
    if resolved.files:
        linux["resources"] = {"unified": dict(resolved.files)}
    if container.seccomp != "unconfined":
        linux["seccomp"] = defaults.default_policy(capabilities(container), user_namespace=resolved.idmap is not None)
    own = container.namespaces.get("user", "private") == "private" and "user" not in places.namespaces
    if resolved.idmap and own:
        linux["uidMappings"] = linux["gidMappings"] = mappings(resolved.idmap)
    return linux


def _namespaces(container: Container, places: Places) -> Sequence[dict[str, str]]:
    listed = [{"type": "mount"}]
    for name in _OCI_NAMESPACE:
        if container.namespaces.get(name, "private") == "host":
            continue
        entry = {"type": _OCI_NAMESPACE[name]}
        if name in places.namespaces:
            entry["path"] = places.namespaces[name]
        listed.append(entry)
    return listed
