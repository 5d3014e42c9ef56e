# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this runtime does, as the runtime-spec's features.md wants it told."""

from __future__ import annotations

from typing import Any

from ..._kernel import capabilities, mount, seccomp
from ..bundle.mount_entry import known_options
from ..bundle.spec import HOOKS, NAMESPACES


def features() -> dict[str, Any]:
    """The document."""
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.2.0",
        "hooks": list(HOOKS),
        "mountOptions": sorted([*known_options(), *mount.PROPAGATION, *("r" + p for p in mount.PROPAGATION)]),
        "linux": {
            "namespaces": sorted(NAMESPACES),
            "capabilities": list(capabilities.NUMBERS),
            "cgroup": {"v1": False, "v2": True, "systemd": False, "systemdUser": False, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": sorted(seccomp.ACTIONS),
                "operators": sorted(seccomp.OPERATORS),
                "supportedFlags": sorted(seccomp.FLAGS),
                "knownFlags": sorted(seccomp.FLAGS),
            },
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
    }
