# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ns_container's options become a Container; what cannot be meant is refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._core.mac import parse_mac
from .._core.names import check_link_name, container_name
from .._core.resource import OptionError
from .._links.sysctls import parse_sysctls
from .._network.publish import parse_ports
from .documents_bundle import DOMAIN_SYSCTL
from .option import Option
from .options_mounts import parse_mounts
from .options_values import HOSTNAME, address
from .plan_declared import check_image
from .plan_init import check_init
from .plan_shared_memory import check_shared_memory
from .records import NAMESPACES, OPTIONS, UNDECLARED, Attachment, Container

_MOST_RESTARTS = 1_000_000
#: Sysctls that belong to a namespace of the container; any other one is the host's.
_SYSCTL_NAMESPACES = (
    ("net.", "network"),
    ("fs.mqueue.", "ipc"),
    ("kernel.shm", "ipc"),
    ("kernel.msg", "ipc"),
    ("kernel.sem", "ipc"),
    (DOMAIN_SYSCTL, "uts"),
)


def container_from(params: Mapping[str, Any]) -> Container:
    """Options as ansible's argument spec leaves them, to a Container. Raises OptionError."""
    policy, retries = _restart(params)
    namespaces = _namespaces(params)
    found = {name: _parsed(name, each, params) for name, each in OPTIONS.items() if each.parse is not None}
    container = Container(
        **found,
        namespaces=namespaces,
        networks=_networks(params, namespaces),
        mounts=parse_mounts(params.get("mounts") or (), found["runtime"]),
        sysctls=_sysctls(params, namespaces),
        restart_policy=policy,
        restart_retries=retries,
        params={name: value for name, value in params.items() if not (name in OPTIONS and OPTIONS[name].of_task)},
    )
    _check_own_namespaces(container)
    _check_domain(container)
    check_shared_memory(container)
    check_image(container)
    check_init(container)
    return container


def _parsed(name: str, known: Option, params: Mapping[str, Any]) -> Any:
    value = params.get(name)
    if value is None or known.parse is None:
        return getattr(UNDECLARED, name)
    return known.parse(name, value)


def _check_own_namespaces(container: Container) -> None:
    """Options that change a namespace, and are not to change another one's. Raises OptionError."""
    for name, each in OPTIONS.items():
        value = getattr(container, name)
        if (
            each.needs
            and value != getattr(UNDECLARED, name)
            and container.namespaces.get(each.needs, "private") != "private"
        ):
            why = f"needs a namespace of the container's own, and namespaces.{each.needs} is "
            raise OptionError(name, container.params[name], why + container.namespaces[each.needs])


def _check_domain(container: Container) -> None:
    """Raises OptionError."""
    if container.domainname and DOMAIN_SYSCTL in container.sysctls:
        raise OptionError("domainname", container.domainname, f"is sysctls.{DOMAIN_SYSCTL} too: leave that out")


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
            if not HOSTNAME.match(alias):
                raise OptionError(f"{option}.aliases", alias, "is no host name")
        attachments.append(
            Attachment(
                network=container_name(entry["name"], f"{option}.name"),
                interface=interface,
                addresses=tuple(address(f"{option}.addresses", a) for a in entry.get("addresses") or ()),
                mac=parse_mac(f"{option}.mac", entry.get("mac")),
                aliases=tuple(entry.get("aliases") or ()),
                ports=parse_ports(f"{option}.ports", entry.get("ports") or ()),
            )
        )
    return tuple(attachments)


def _sysctls(params: Mapping[str, Any], namespaces: Mapping[str, str]) -> dict[str, str]:
    sysctls = parse_sysctls("sysctls", params.get("sysctls"))
    for name in sysctls:
        owner = next((ns for prefix, ns in _SYSCTL_NAMESPACES if name.startswith(prefix)), None)
        if owner is None:
            raise OptionError(
                "sysctls", name, "belongs to the host, not to a namespace: set it with ansible.posix.sysctl"
            )
        if namespaces.get(owner, "private") != "private":
            raise OptionError("sysctls", name, f"needs a {owner} namespace of the container's own")
    return sysctls


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
