# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container's options become a Container; what cannot be meant is refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._core.ip_text import ip_address, ip_interface
from .._core.mac import parse_mac
from .._core.names import check_link_name, container_name
from .._core.quantities import parse_size
from .._core.resource import OptionError
from .._core.texts import text, variables
from .._kernel.sysctl import path_of
from .._links.sysctls import dotted, sysctl_text
from .._network.publish import parse_ports
from .._runtime.bundle.signals import signal_name
from .._runtime.errors import RuntimeFailure
from .options_mounts import parse_mounts
from .plan_declared import check_image
from .plan_init import NONE, REAPER, check_init
from .records import LONGEST, NAMESPACES, Attachment, Container

#: hostname(7) knows no underscore; the kernel, resolvers and the Compose files of many do.
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")
#: resolv.conf(5): one word of its line, and no character that would end it or begin a comment.
_SEARCH_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,253}\Z")
_RESOLVER_OPTION = re.compile(r"[A-Za-z0-9_-]+(:[0-9]{1,9})?\Z")
_RLIMITS = (
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
).split()
#: Options that say what to do now and are no part of what is declared: no record keeps them.
_OF_THE_TASK = ("state", "purge_volumes")
_LARGEST_LOG = 1 << 40
_MOST_LOGS = 1000
_MOST_RESTARTS = 1_000_000
#: Sysctls that belong to a namespace of the container; any other one is the host's.
_SYSCTL_NAMESPACES = (
    ("net.", "network"),
    ("fs.mqueue.", "ipc"),
    ("kernel.shm", "ipc"),
    ("kernel.msg", "ipc"),
    ("kernel.sem", "ipc"),
    ("kernel.domainname", "uts"),
)


#: As the kernel writes "no limit" (bits/resource.h).
_RLIM_INFINITY = (1 << 64) - 1


def container_from(params: Mapping[str, Any]) -> Container:
    """Options as ansible's argument spec leaves them, to a Container. Raises OptionError."""
    policy, retries = _restart(params)
    namespaces = _namespaces(params)
    runtime = _runtime(params)
    container = Container(
        name=container_name(params["name"]),
        state=params["state"],
        image=params.get("image"),
        command=_argv(params, "command"),
        args=_argv(params, "args"),
        env=variables("env", params.get("env")),
        cwd=_absolute(params, "cwd"),
        user=params.get("user"),
        init=_init(params),
        hostname=_hostname(params),
        networks=_networks(params, namespaces),
        mounts=parse_mounts(params.get("mounts") or (), runtime),
        limits={name: value for name, value in (params.get("limits") or {}).items() if value is not None},
        limits_required=bool(params.get("limits_required")),
        namespaces=namespaces,
        cap_add=_capabilities(params, "cap_add"),
        cap_drop=_capabilities(params, "cap_drop"),
        seccomp=params.get("seccomp") or "default",
        read_only=bool(params.get("read_only")),
        sysctls=_sysctls(params, namespaces),
        rlimits=_rlimits(params),
        dns=_dns(params),
        dns_search=_words(params, "dns_search", _SEARCH_DOMAIN, "is no domain"),
        dns_options=_words(params, "dns_options", _RESOLVER_OPTION, "is no option of resolv.conf(5), e.g. ndots:2"),
        extra_hosts=_extra_hosts(params),
        stop_signal=_signal(params),
        stop_timeout=_within(params, "stop_timeout", 0, LONGEST, 10),
        restart_policy=policy,
        restart_retries=retries,
        log_max_size=_log_size(params),
        log_max_files=_within(params, "log_max_files", 1, _MOST_LOGS, 3),
        labels=_labels(params),
        runtime=runtime,
        purge_volumes=bool(params.get("purge_volumes")),
        params={name: value for name, value in params.items() if name not in _OF_THE_TASK},
    )
    check_image(container)
    check_init(container)
    return container


def container_of(record: Mapping[str, Any]) -> Container:
    """A container as its record declares it; nothing is asked of its process.

    Raises OptionError, which names the container, for what another version has recorded and this one cannot mean.
    """
    params = record["params"]
    try:
        return container_from({**params, "state": "present"})
    except OptionError as error:
        words = f"{error.message} (recorded by another version of this collection: declare that container again)"
        raise OptionError(f"container {params.get('name')}: {error.option}", error.value, words) from None


def _argv(params: Mapping[str, Any], option: str) -> tuple[str, ...] | None:
    words = params.get(option)
    if words is None:
        return None
    for word in words:
        if "\0" in word:
            raise OptionError(option, word, "an argument cannot hold a NUL byte")
    return tuple(words)


def _absolute(params: Mapping[str, Any], option: str) -> str | None:
    value = params.get(option)
    if value is not None and (not value.startswith("/") or "\0" in value):
        raise OptionError(option, value, "must be an absolute path inside the container")
    return value


def _init(params: Mapping[str, Any]) -> str:
    """Also a boolean, as Compose has it, of which Ansible makes text."""
    value = str(params.get("init") or NONE)
    meant = {"true": REAPER, "yes": REAPER, "false": NONE, "no": NONE}.get(value.lower(), value)
    if meant not in (NONE, REAPER):
        raise OptionError("init", value, f"must be {NONE} or {REAPER}")
    return meant


def _hostname(params: Mapping[str, Any]) -> str | None:
    value = params.get("hostname")
    if value is not None and (len(value) > 64 or not _HOSTNAME.match(value)):
        raise OptionError("hostname", value, "must be at most 64 letters, digits, hyphens, underscores and dots")
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
        interface = check_link_name(f"{option}.interface", entry.get("interface") or f"eth{index}")
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
                mac=parse_mac(f"{option}.mac", entry.get("mac")),
                aliases=tuple(entry.get("aliases") or ()),
                ports=parse_ports(f"{option}.ports", entry.get("ports") or ()),
            )
        )
    return tuple(attachments)


def _address(value: Any, option: str) -> str:
    """An address, with or without the network's prefix length."""
    try:
        return str(ip_interface(value) if "/" in str(value) else ip_address(value))
    except ValueError:
        raise OptionError(option, value, "is not an IPv4 or IPv6 address (without a zone)") from None


def _capabilities(params: Mapping[str, Any], option: str) -> tuple[str, ...]:
    given = params.get(option) or ()
    if not given:
        return ()
    from .._kernel.capabilities import NUMBERS  # here: most containers name none

    named = []
    for value in given:
        name = value.upper()
        if name == "ALL" and option == "cap_drop":
            named.append(name)
            continue
        name = name if name.startswith("CAP_") else f"CAP_{name}"
        if name not in NUMBERS:
            raise OptionError(option, value, _no_capability(name, NUMBERS))
        named.append(name)
    return tuple(sorted(set(named)))


def _no_capability(name: str, known: Iterable[str]) -> str:
    if name == "CAP_ALL":
        return "no container gets all capabilities: list those that its program needs, such as NET_ADMIN or SYS_PTRACE"
    import difflib  # here, as it is for an error

    plain = {each.replace("_", ""): each for each in known}
    near = difflib.get_close_matches(name.replace("_", ""), plain, n=1, cutoff=0.7)
    meant = f"; did you mean {plain[near[0]][len('CAP_') :]}?" if near else ""
    return f"is not a capability (capabilities(7) lists them){meant}"


def _sysctls(params: Mapping[str, Any], namespaces: Mapping[str, str]) -> dict[str, str]:
    sysctls = {}
    for given, value in (params.get("sysctls") or {}).items():
        name = dotted(given)
        owner = next((ns for prefix, ns in _SYSCTL_NAMESPACES if name.startswith(prefix)), None)
        if owner is None:
            raise OptionError(
                "sysctls", given, "belongs to the host, not to a namespace: set it with ansible.posix.sysctl"
            )
        if namespaces.get(owner, "private") != "private":
            raise OptionError("sysctls", given, f"needs a {owner} namespace of the container's own")
        try:
            path_of(name)
        except ValueError:
            raise OptionError("sysctls", given, "is not the name of a kernel parameter") from None
        if name in sysctls:
            raise OptionError("sysctls", given, "is there twice")
        sysctls[name] = sysctl_text(f"sysctls.{given}", value)
    return sysctls


def _limit(word: str) -> int | None:
    """RLIM_INFINITY of setrlimit(2) by any of its names; None for what is no limit."""
    if word.lower() in ("-1", "unlimited", "infinity"):
        return _RLIM_INFINITY
    return int(word) if re.fullmatch(r"[0-9]{1,20}", word) and int(word) <= _RLIM_INFINITY else None


def _rlimits(params: Mapping[str, Any]) -> dict[str, str]:
    rlimits = {}
    for name, value in (params.get("rlimits") or {}).items():
        if name.lower() not in _RLIMITS:
            raise OptionError("rlimits", name, "must be one of " + ", ".join(_RLIMITS))
        soft, colon, hard = str(value).partition(":")
        limits = [_limit(part) for part in ([soft, hard] if colon else [soft])]
        if None in limits or isinstance(value, bool):
            message = f"{name} takes a number, -1 or unlimited for none, or two of these as SOFT:HARD"
            raise OptionError("rlimits", value, message)
        if colon and int(limits[0] or 0) > int(limits[1] or 0):
            raise OptionError("rlimits", value, f"the soft limit of {name} is above its hard limit")
        rlimits[name.lower()] = ":".join(str(limit) for limit in limits)
    return rlimits


def _dns(params: Mapping[str, Any]) -> tuple[str, ...] | None:
    servers = params.get("dns")
    return None if servers is None else tuple(_server(server) for server in servers)


def _server(text: Any) -> str:
    try:
        server = ip_address(text)
    except ValueError:
        raise OptionError("dns", text, "is not an IPv4 or IPv6 address (without a zone)") from None
    if server.is_unspecified or server.is_multicast:
        raise OptionError("dns", text, "is not the address of a server")
    return str(server)


def _extra_hosts(params: Mapping[str, Any]) -> dict[str, str]:
    hosts = {}
    for name, address in (params.get("extra_hosts") or {}).items():
        if not _HOSTNAME.match(name):
            raise OptionError("extra_hosts", name, "is no host name")
        hosts[name] = _address(address, f"extra_hosts.{name}").partition("/")[0]
    return hosts


def _signal(params: Mapping[str, Any]) -> str | None:
    value = params.get("stop_signal")
    try:
        return None if value is None else signal_name(value)
    except RuntimeFailure:
        raise OptionError("stop_signal", value, "is no signal (signal(7)), e.g. SIGTERM") from None


def _words(params: Mapping[str, Any], option: str, pattern: re.Pattern[str], problem: str) -> tuple[str, ...]:
    for word in params.get(option) or ():
        if not pattern.match(word):
            raise OptionError(option, word, problem)
    return tuple(params.get(option) or ())


def _labels(params: Mapping[str, Any]) -> dict[str, str]:
    given = params.get("labels") or {}
    if "" in given:
        raise OptionError("labels", "", "a label needs a name")
    return {name: text(f"labels.{name}", value) for name, value in given.items()}


def _log_size(params: Mapping[str, Any]) -> int:
    value = params.get("log_max_size")
    size = 10 * 1024 * 1024 if value is None else parse_size("log_max_size", str(value), "a size such as 10M")
    if not 4096 <= size <= _LARGEST_LOG:
        raise OptionError("log_max_size", value, f"must be at least 4096 bytes and at most {_LARGEST_LOG >> 40}T")
    return size


def _within(params: Mapping[str, Any], option: str, least: int, most: int, default: int) -> int:
    value = params.get(option)
    if value is None:
        return default
    if not least <= value <= most:
        raise OptionError(option, value, f"must be at least {least} and at most {most}")
    return int(value)


def _restart(params: Mapping[str, Any]) -> tuple[str, int]:
    policy = params.get("restart_policy") or "no"
    policy = "no" if policy == "False" else policy  # YAML takes a bare no for a boolean, and Ansible makes text of it
    name, _colon, retries = policy.partition(":")
    if name not in ("no", "on-failure", "always", "unless-stopped") or (retries and name != "on-failure"):
        raise OptionError("restart_policy", policy, "must be no, on-failure, on-failure:N, always or unless-stopped")
    if retries and not (re.match(r"[0-9]{1,7}\Z", retries) and int(retries) <= _MOST_RESTARTS):
        message = f"the N of on-failure:N is a number of restarts, at most {_MOST_RESTARTS}"
        raise OptionError("restart_policy", policy, message)
    return name, int(retries or 0)


def _runtime(params: Mapping[str, Any]) -> str:
    value = params.get("runtime") or "nsrun"
    if value not in ("nsrun", "crun", "runc") and not value.startswith("/"):
        raise OptionError("runtime", value, "must be nsrun, crun, runc or an absolute path")
    return str(value)
