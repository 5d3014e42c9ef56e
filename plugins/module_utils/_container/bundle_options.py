# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a runtime says of a bundle, in the words of the options that the bundle was made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .records import Container

#: OCI property -> option. Of two that begin alike the longer one comes first.
_OPTIONS = (
    ("process.args", "command"),
    ("process.cwd", "cwd"),
    ("process.env", "env"),
    ("process.user", "user"),
    ("process.capabilities", "cap_add"),
    ("hostname", "hostname"),
    ("linux.sysctl", "sysctls"),
    ("linux.seccomp", "seccomp"),
    ("linux.resources", "limits"),
    ("linux.namespaces", "namespaces"),
    ("linux.uidMappings", "namespaces.user"),
    ("linux.gidMappings", "namespaces.user"),
)


def option_names(container: Container, config: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Each property of config.json that options decide on, with the option's name."""
    index = {mount.target: number for number, mount in enumerate(container.mounts)}
    names: list[tuple[str, str]] = []
    for place, mount in enumerate(config["mounts"]):
        number = index.get(mount["destination"])
        if number is not None:
            names.append((f"mounts[{place}].destination", f"mounts[{number}].target"))
            names.append((f"mounts[{place}]", f"mounts[{number}]"))
    names += [(f"process.rlimits[{i}]", f"rlimits.{name}") for i, name in enumerate(sorted(container.rlimits))]
    return (*names, *_OPTIONS)


def in_words_of_options(message: str, names: tuple[tuple[str, str], ...]) -> str:
    """The message with the option in place of the property that it begins with; unchanged where there is none."""
    said = message[len("nsrun: ") :] if message.startswith("nsrun: ") else message
    for prop, option in names:
        if said.startswith(prop) and said[len(prop) : len(prop) + 1] in (":", ".", " "):
            return option + said[len(prop) :]
    return message
