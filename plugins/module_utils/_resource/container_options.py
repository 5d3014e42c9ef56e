# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container's options become a Container; what cannot be meant is refused by name."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from .._plan.container_spec import NAMESPACES, Attachment, Container, ContainerMount
from .._plan.publish import parse_ports
from .._runtime.errors import RuntimeFailure
from .._runtime.signals import signal_name
from .base import OptionError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}\Z")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z")
_ENV_NAME = re.compile(r"[^=\0]+\Z")
_INTERFACE = re.compile(r"[^/\s:]{1,15}\Z")
_RLIMITS = (
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
).split()
_PROPAGATION = ("private", "rprivate", "slave", "rslave", "shared", "rshared")
#: Sysctls that belong to a namespace of the container; any other one is the host's.
_SYSCTL_NAMESPACES = (
    ("net.", "network"),
    ("fs.mqueue.", "ipc"),
    ("kernel.shm", "ipc"),
    ("kernel.msg", "ipc"),
    ("kernel.sem", "ipc"),
    ("kernel.domainname", "uts"),
)


def container_name(value: str, option: str = "name") -> str:
    """A name that is safe as a file name, a host name's start and a cgroup's name. Raises OptionError."""
    if not _NAME.match(value) or ".." in value:
        raise OptionError(
            option,
            value,
            "use 1 to 48 lower-case letters, digits, dots, hyphens or underscores, beginning with a letter or digit",
        )
    return value


def container_from(params: Mapping[str, Any]) -> Container:
    """Options as ansible's argument spec leaves them, to a Container. Raises OptionError."""
    state = params["state"]
    if state != "absent" and not params.get("image"):
        raise OptionError("image", params.get("image"), f"is needed for state {state}; name an image made by oci_image")
    policy, retries = _restart(params)
    namespaces = _namespaces(params)
    return Container(
        name=container_name(params["name"]),
        state=state,
        image=params.get("image"),
        command=_argv(params, "command"),
        args=_argv(params, "args"),
        env=_env(params),
        cwd=_absolute(params, "cwd"),
        user=params.get("user"),
        hostname=_hostname(params),
        networks=_networks(params, namespaces),
        mounts=tuple(_mount(mount, index) for index, mount in enumerate(params.get("mounts") or ())),
        limits={name: value for name, value in (params.get("limits") or {}).items() if value is not None},
        limits_required=params.get("limits_required", True),
        namespaces=namespaces,
        cap_add=_capabilities(params, "cap_add"),
        cap_drop=_capabilities(params, "cap_drop"),
        seccomp=params.get("seccomp") or "default",
        read_only=bool(params.get("read_only")),
        sysctls=_sysctls(params, namespaces),
        rlimits=_rlimits(params),
        dns=_dns(params),
        dns_search=tuple(params.get("dns_search") or ()),
        dns_options=tuple(params.get("dns_options") or ()),
        extra_hosts=_extra_hosts(params),
        stop_signal=_signal(params),
        stop_timeout=_at_least(params, "stop_timeout", 0, 10),
        restart_policy=policy,
        restart_retries=retries,
        log_max_size=_at_least(params, "log_max_size", 4096, 10 * 1024 * 1024),
        log_max_files=_at_least(params, "log_max_files", 1, 3),
        labels={str(name): str(value) for name, value in (params.get("labels") or {}).items()},
        runtime=_runtime(params),
        purge_volumes=bool(params.get("purge_volumes")),
        assume=params.get("assume") or {},
        params={name: value for name, value in params.items() if name != "assume"},
    )


def _argv(params: Mapping[str, Any], option: str) -> tuple[str, ...] | None:
    words = params.get(option)
    if words is None:
        return None
    for word in words:
        if "\0" in word:
            raise OptionError(option, word, "an argument cannot hold a NUL byte")
    return tuple(words)


def _env(params: Mapping[str, Any]) -> dict[str, str]:
    env = {}
    for name, value in (params.get("env") or {}).items():
        if not _ENV_NAME.match(str(name)) or "\0" in str(value):
            raise OptionError("env", name, "a variable's name cannot be empty or hold '=' or a NUL byte")
        env[str(name)] = "" if value is None else str(value)
    return env


def _absolute(params: Mapping[str, Any], option: str) -> str | None:
    value = params.get(option)
    if value is not None and (not value.startswith("/") or "\0" in value):
        raise OptionError(option, value, "must be an absolute path inside the container")
    return value


def _hostname(params: Mapping[str, Any]) -> str | None:
    value = params.get("hostname")
    if value is not None and (len(value) > 64 or not _HOSTNAME.match(value)):
        raise OptionError("hostname", value, "must be at most 64 letters, digits, hyphens and dots (hostname(7))")
    return value


def _namespaces(params: Mapping[str, Any]) -> dict[str, str]:
    """Those that differ from the default, which is private (for user: private where the kernel can)."""
    chosen: dict[str, str] = {}
    for name, value in (params.get("namespaces") or {}).items():
        if value is None:
            continue
        if name not in NAMESPACES:
            raise OptionError(f"namespaces.{name}", value, f"no such namespace; there are {', '.join(NAMESPACES)}")
        kind, _colon, other = value.partition(":")
        if kind == "container" and other:
            container_name(other, f"namespaces.{name}")
            if other == params["name"]:
                raise OptionError(f"namespaces.{name}", value, "a container cannot share with itself")
        elif value not in ("private", "host"):
            raise OptionError(f"namespaces.{name}", value, "must be private, host or container:NAME")
        chosen[name] = value
    owners = {value for value in chosen.values() if value.startswith("container:")}
    if owners and "user" not in chosen:
        # A namespace is of use only to those in the user namespace that owns it (user_namespaces(7)).
        chosen["user"] = sorted(owners)[0]
    return chosen


def _networks(params: Mapping[str, Any], namespaces: Mapping[str, str]) -> tuple[Attachment, ...]:
    listed = params.get("networks") or ()
    if listed and namespaces.get("network", "private") != "private":
        raise OptionError(
            "networks", [n["name"] for n in listed], "needs a network namespace of its own (namespaces.network)"
        )
    attachments: list[Attachment] = []
    for index, entry in enumerate(listed):
        option = f"networks[{index}]"
        interface = entry.get("interface") or f"eth{index}"
        if not _INTERFACE.match(interface) or interface in (".", "..", "lo"):
            raise OptionError(
                f"{option}.interface", interface, "an interface name has 1 to 15 bytes, no '/', ':' or space"
            )
        if interface in [a.interface for a in attachments]:
            raise OptionError(f"{option}.interface", interface, "is used by another entry of networks")
        if entry["name"] in [a.network for a in attachments]:
            raise OptionError(f"{option}.name", entry["name"], "the container is on that network already")
        for alias in entry.get("aliases") or ():
            if not _HOSTNAME.match(alias):
                raise OptionError(f"{option}.aliases", alias, "is no host name")
        attachments.append(
            Attachment(
                network=container_name(entry["name"], f"{option}.name"),
                interface=interface,
                addresses=tuple(_address(a, f"{option}.addresses") for a in entry.get("addresses") or ()),
                mac=entry.get("mac"),
                aliases=tuple(entry.get("aliases") or ()),
                ports=parse_ports(f"{option}.ports", entry.get("ports") or ()),
            )
        )
    return tuple(attachments)


def _address(value: str, option: str) -> str:
    """An address, with or without the network's prefix length."""
    try:
        return str(ipaddress.ip_interface(value)) if "/" in value else str(ipaddress.ip_address(value))
    except ValueError:
        raise OptionError(option, value, "is no IPv4 or IPv6 address") from None


def _mount(entry: Mapping[str, Any], index: int) -> ContainerMount:
    option = f"mounts[{index}]"
    kind, target, source = entry["type"], entry["target"], entry.get("source")
    if not target.startswith("/") or posixpath.normpath(target) == "/" or ".." in target.split("/"):
        raise OptionError(f"{option}.target", target, "must be an absolute path below / without '..'")
    if kind == "tmpfs" and source is not None:
        raise OptionError(f"{option}.source", source, "a tmpfs has no source")
    if kind == "bind" and not (source or "").startswith("/"):
        raise OptionError(f"{option}.source", source, "a bind mount's source is an absolute path on the host")
    if kind == "volume":
        container_name(source or "", f"{option}.source")
    if entry.get("propagation") and entry["propagation"] not in _PROPAGATION:
        raise OptionError(f"{option}.propagation", entry["propagation"], "must be one of " + ", ".join(_PROPAGATION))
    return ContainerMount(
        kind=kind,
        target=posixpath.normpath(target),
        source=source,
        read_only=bool(entry.get("read_only")),
        propagation=entry.get("propagation"),
        options=tuple(entry.get("options") or ()),
    )


def _capabilities(params: Mapping[str, Any], option: str) -> tuple[str, ...]:
    named = []
    for value in params.get(option) or ():
        name = value.upper()
        if name == "ALL" and option == "cap_drop":
            named.append(name)
            continue
        name = name if name.startswith("CAP_") else f"CAP_{name}"
        if name not in CAPABILITY_NAMES:
            raise OptionError(option, value, "is no capability (capabilities(7))")
        named.append(name)
    return tuple(sorted(set(named)))


def _sysctls(params: Mapping[str, Any], namespaces: Mapping[str, str]) -> dict[str, str]:
    sysctls = {}
    for name, value in (params.get("sysctls") or {}).items():
        owner = next((ns for prefix, ns in _SYSCTL_NAMESPACES if name.startswith(prefix)), None)
        if owner is None:
            raise OptionError(
                "sysctls", name, "belongs to the host, not to a namespace: set it with ansible.posix.sysctl"
            )
        if namespaces.get(owner, "private") != "private":
            raise OptionError("sysctls", name, f"needs a {owner} namespace of the container's own")
        sysctls[name] = str(value)
    return sysctls


def _rlimits(params: Mapping[str, Any]) -> dict[str, str]:
    rlimits = {}
    for name, value in (params.get("rlimits") or {}).items():
        if name.lower() not in _RLIMITS:
            raise OptionError("rlimits", name, "must be one of " + ", ".join(_RLIMITS))
        if not re.match(r"\d{1,19}(:\d{1,19})?\Z", str(value)):
            raise OptionError("rlimits", value, f"{name} takes a number, or SOFT:HARD")
        rlimits[name.lower()] = str(value)
    return rlimits


def _dns(params: Mapping[str, Any]) -> tuple[str, ...] | None:
    servers = params.get("dns")
    return None if servers is None else tuple(_address(server, "dns") for server in servers)


def _extra_hosts(params: Mapping[str, Any]) -> dict[str, str]:
    hosts = {}
    for name, address in (params.get("extra_hosts") or {}).items():
        if not _HOSTNAME.match(name):
            raise OptionError("extra_hosts", name, "is no host name")
        hosts[name] = _address(address, "extra_hosts").partition("/")[0]
    return hosts


def _signal(params: Mapping[str, Any]) -> str | None:
    value = params.get("stop_signal")
    try:
        return None if value is None else signal_name(value)
    except RuntimeFailure:
        raise OptionError("stop_signal", value, "is no signal (signal(7)), e.g. SIGTERM") from None


def _at_least(params: Mapping[str, Any], option: str, least: int, default: int) -> int:
    value = params.get(option)
    if value is None:
        return default
    if value < least:
        raise OptionError(option, value, f"must be at least {least}")
    return int(value)


def _restart(params: Mapping[str, Any]) -> tuple[str, int]:
    policy = params.get("restart_policy") or "no"
    name, _colon, retries = policy.partition(":")
    if name not in ("no", "on-failure", "always", "unless-stopped") or (retries and name != "on-failure"):
        raise OptionError("restart_policy", policy, "must be no, on-failure, on-failure:N, always or unless-stopped")
    if retries and not retries.isdigit():
        raise OptionError("restart_policy", policy, "the N of on-failure:N is a number of restarts")
    return name, int(retries or 0)


def _runtime(params: Mapping[str, Any]) -> str:
    value = params.get("runtime") or "nsrun"
    if value not in ("nsrun", "crun", "runc") and not value.startswith("/"):
        raise OptionError("runtime", value, "must be nsrun, crun, runc or an absolute path")
    return str(value)


#: capabilities(7), in the kernel's order.
CAPABILITY_NAMES = tuple(
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
        "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
        "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
        "SETFCAP "
        "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)
