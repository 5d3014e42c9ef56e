# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel parameters of a network namespace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._kernel.namespaces import NetnsRef
from .errors import OptionError
from .operation import Operation


@dataclass(frozen=True)
class SetSysctl(Operation):
    """Set a parameter in a network namespace."""

    netns: NetnsRef
    name: str
    value: str

    def describe(self) -> str:
        return f"set sysctl {self.name} to {self.value!r} in {self.netns}"

    def execute(self, kernel: Any) -> None:
        kernel.sysctl.write(self.name, self.value, self.netns)


def parse_sysctls(option: str, given: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """A dictionary of parameters, checked: only net.* belongs to a network namespace. Raises OptionError.

    Booleans are 1 and 0; white space is normalised as the kernel prints it.
    """
    found = []
    for name, value in (given or {}).items():
        if not re.fullmatch(r"net[./][^\s\0]+", name) or re.search(r"[./]{2}|[./]$", name):
            raise OptionError(f"{option}.{name}", value, "only parameters that begin with net. belong to a netns")
        if isinstance(value, (dict, list)) or value is None:
            raise OptionError(f"{option}.{name}", value, "give a number, a boolean or a string")
        text = str(int(value)) if isinstance(value, bool) else " ".join(str(value).split())
        found.append((name, text))
    return tuple(found)


def interface_of(name: str) -> str | None:
    """The interface that a parameter is about (net.ipv4.conf.eth0.forwarding), None for one of the namespace."""
    match = re.fullmatch(r"net\.(?:ipv4|ipv6|mpls)\.(?:conf|neigh)\.([^.]+)\..+", _dotted(name))
    interface = match.group(1).replace("/", ".") if match else None
    return None if interface in ("all", "default") else interface


def _dotted(name: str) -> str:
    dot, slash = name.find("."), name.find("/")
    return name.translate(str.maketrans("./", "/.")) if slash != -1 and (dot == -1 or slash < dot) else name


def plan_sysctls(
    netns: NetnsRef, wanted: tuple[tuple[str, str], ...], observed: Mapping[str, str | None]
) -> list[Operation]:
    """What must be written, in the order given: ip_forward resets others, so whoever declares both says which first."""
    return [SetSysctl(netns, name, value) for name, value in wanted if observed.get(name) != value]
