# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a layer is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import HostileLayer

#: How many names a path in a layer may have. Whoever reads a tree holds a descriptor for each, of 1024 that a process
#: usually gets; images that people make stay below 50.
DEEPEST = 512


@dataclass(frozen=True)
class Limits:
    """Where a layer is taken for a bomb: the bytes it unpacks to, with the holes of sparse files, and its entries, with
    the directories that they imply."""

    size: int = 64 << 30
    entries: int = 4_000_000


@dataclass(frozen=True)
class Policy:
    """How large a layer may be, and whether it may hold device nodes and setuid files."""

    limits: Limits = field(default_factory=Limits)
    devices: bool = True
    setuid: bool = True


def refused(record: Mapping[str, Any], policy: Policy) -> tuple[str, str]:
    """Which part of the policy a layer breaks, devices or setuid, and by what; empty where it breaks neither."""
    for kind, allowed in (("devices", policy.devices), ("setuid", policy.setuid)):
        if not allowed and record.get(kind):
            return kind, ", ".join(record[kind])
    return "", ""


def check_policy(digest: str, record: Mapping[str, Any], policy: Policy) -> None:
    """Raises HostileLayer for device nodes and setuid files where they are not wanted."""
    kind, found = refused(record, policy)
    if kind:
        raise HostileLayer(f"layer {digest} holds {found}, and {kind} are refused")
