# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings back at boot the networks and containers declared on this host: what barekernel_networks.service runs.

Containers get their network and files back; their processes are started by units of their own, after this one.
"""

from __future__ import annotations

from typing import Any

from .._boot.resource import BootableResource
from .._boot.restoring import restore
from .._network.resource import NetworkResource
from .resource import ContainerResource

#: In the order in which they need each other.
RESOURCES: tuple[type[BootableResource[Any, Any]], ...] = (
    NetworkResource,
    ContainerResource,
)


def main() -> int:
    """The program. Returns the exit status."""
    return restore(RESOURCES)
