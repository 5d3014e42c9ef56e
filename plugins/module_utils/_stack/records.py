# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stack is made of: entries of six kinds, each the options of a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .._kernel import locations

#: Held while the records of stacks are read and changed.
LOCK = "stacks"
#: The version of a record; what a later one adds is kept.
RECORD_VERSION = 1


class Kind(NamedTuple):
    """``option`` is the list that its entries are in, ``module`` whose options they are, ``key`` the option that names
    one."""

    name: str
    option: str
    module: str
    key: str = "name"


#: In the order in which they are made where nothing says otherwise.
KINDS = (
    Kind("file", "files", "", "path"),
    Kind("image", "images", "oci_image"),
    Kind("cgroup", "cgroups", "cgroup_v2", "path"),
    Kind("overlay", "overlays", "overlay_mount", "path"),
    Kind("network", "networks", "bridge_network"),
    Kind("link", "links", "netns_veth"),
    Kind("container", "containers", "ns_container"),
)
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Entry:
    """One object of a stack. ``option`` is where it was declared (``containers[2]``), empty for one that only the
    stack's record knows; ``needs`` are the keys of others, each with what must have become of that one (fold.py)."""

    kind: str
    name: str
    params: Mapping[str, Any]
    option: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def absent(self) -> bool:
        return self.params.get("state") == "absent"


@dataclass(frozen=True)
class Stack:
    """What a task declares. ``only`` are the kinds and keys of the part that it is about; empty for all."""

    name: str
    entries: tuple[Entry, ...]
    prune: bool = False
    absent: bool = False
    only: frozenset[str] = frozenset()
    progress: str = ""

    def concerns(self, key: str) -> bool:
        """Whether the task is about the object of that key."""
        return not self.only or key in self.only or key.partition("/")[0] in self.only


@dataclass(frozen=True)
class Recorded:
    """A stack as it was left: its objects, by key, with the options that remove each."""

    name: str
    objects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def record_path(name: str) -> str:
    """Where the stack of that name is recorded."""
    return f"{locations.STACKS}/{name}.json"
