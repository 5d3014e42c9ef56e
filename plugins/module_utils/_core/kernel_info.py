# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kernel_info returns: the host's kernel, its cgroups, and every feature with a reason where it is missing."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .._kernel import features, host_resources, userns
from .._kernel.cgroup_state import find_hierarchy


class KernelInfo:
    """Reads, and never changes the host."""

    name = "kernel_info"
    needs_root = False

    def gather(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """No parameters. Raises KernelError where /proc itself cannot be read."""
        host = host_resources.observe_host_resources()
        name = os.uname()
        return {
            "kernel": {
                "release": name.release,
                "version": list(userns.kernel_version(name.release)),
                "machine": name.machine,
                "security_modules": list(features.security_modules()),
                "cgroup": asdict(find_hierarchy()),
                "memory": host.memory,
                "swap": host.swap,
                "page_size": host.page_size,
                "cpus": len(host.cpus),
                "huge_pages": dict(host.huge_page_sizes),
                "python": {"executable": sys.executable, "version": platform.python_version()},
            },
            "features": {name: asdict(feature) for name, feature in features.observe_features().items()},
        }
