# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits as options of cgroups and containers: what of the host they need to become control files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.resource import OptionError
from .._kernel import host_resources
from .limits import devices_in, limits_to_files


def resources_for(limits: Mapping[str, Any], option: str = "limits") -> host_resources.HostResources:
    """What the host has, with the block devices that ``limits`` names looked up.

    Raises OptionError for a device that is not there or is a partition (the kernel limits whole disks only).
    """
    devices = {}
    for name in devices_in(limits):
        found = host_resources.find_block_device(name)
        if found is None:
            raise OptionError(f"{option}.io", name, "is not a block device of this host: give its path or MAJOR:MINOR")
        if found.whole_disk is not None:
            raise OptionError(
                f"{option}.io", name, f"is a partition: the kernel limits whole disks ({found.whole_disk})"
            )
        devices[name] = found.number
    return host_resources.observe_host_resources(devices)


def limit_files(limits: Mapping[str, Any] | None, option: str = "limits") -> dict[str, str]:
    """The option group ``limits`` as control files of this host. Raises OptionError."""
    return limits_to_files(limits, resources_for(limits, option), option) if limits else {}
