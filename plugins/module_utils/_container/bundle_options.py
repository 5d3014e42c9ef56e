# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a runtime says of a bundle, in the words of the options that the bundle was made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .records import OPTIONS, Container

_CONFIG = "config."
#: OCI property -> option, of those that come of several options.
_OF_SEVERAL = {
    "process.user.additionalGids": "group_add",
    "process.capabilities": "cap_add",
    "linux.seccomp": "seccomp",
    "linux.uidMappings": "namespaces.user",
    "linux.gidMappings": "namespaces.user",
}


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
    known = {each.place[len(_CONFIG) :]: name for name, each in OPTIONS.items() if each.place.startswith(_CONFIG)}
    # Of two that begin alike the longer one comes first.
    return (*names, *sorted({**known, **_OF_SEVERAL}.items(), key=lambda pair: len(pair[0]), reverse=True))


def in_words_of_options(message: str, names: tuple[tuple[str, str], ...]) -> str:
    """The message with the option in place of the property that it begins with; unchanged where there is none."""
    said = message[len("nsrun: ") :] if message.startswith("nsrun: ") else message
    for prop, option in names:
        if said.startswith(prop) and said[len(prop) : len(prop) + 1] in (":", ".", " "):
            return option + said[len(prop) :]
    return message
