# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a part of the kernel is missing, on kernels of every kind."""

from __future__ import annotations

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import features, userns

BUILTIN = "kernel/net/bridge/bridge.ko\nkernel/fs/overlayfs/overlay.ko\n"
LOADABLE = "kernel/net/sched/sch_netem.ko.xz:\nkernel/net/bridge/br_netfilter.ko: kernel/net/bridge/bridge.ko\n"
WITHOUT = "this kernel was built without CONFIG_NET_SCH_NETEM"
NOT_INSTALLED = "the kernel has it as module sch_netem, which is not installed: install the kernel's extra modules"
UNKNOWN = "no module sch_netem is installed and it is not known to be built in"


@pytest.mark.parametrize(
    ("configuration", "builtin", "loadable", "loaded", "reason"),
    [
        ("CONFIG_NET_SCH_NETEM=y\n", "", "", False, ""),
        ("CONFIG_NET_SCH_NETEM=m\n", BUILTIN, LOADABLE, False, ""),
        ("CONFIG_NET_SCH_NETEM=m\n", BUILTIN, "", False, NOT_INSTALLED),
        ("# CONFIG_NET_SCH_NETEM is not set\n", BUILTIN, "", False, WITHOUT),
        ("CONFIG_NET_SCH_NETEM_LIKE=y\n", "", "", False, WITHOUT),
        ("", "", LOADABLE, False, ""),
        ("", "kernel/net/sched/sch_netem.ko\n", "", False, ""),
        ("", "", "kernel/net/sched/sch-netem.ko.zst: a b\n", False, ""),
        ("", "", "kernel/x.ko: kernel/net/sched/sch_netem.ko\n", False, UNKNOWN),
        ("", "", "", True, ""),
    ],
)  # fmt: skip
def test_why_a_part_is_missing(configuration: str, builtin: str, loadable: str, loaded: bool, reason: str) -> None:
    assert features.why_no_part("sch_netem", "NET_SCH_NETEM", configuration, builtin, loadable, loaded) == reason


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.1.0-28-cloud-amd64", (6, 1)), ("5.14.0-503.el9.x86_64", (5, 14)), ("6.18.44-fc-v669", (6, 18)), ("?", (0, 0))],
)
def test_versions(release: str, version: tuple[int, int]) -> None:
    assert userns.kernel_version(release) == version


def test_every_feature_that_is_missing_has_a_reason() -> None:
    found = features.observe_features()
    assert all(bool(feature.reason) is not feature.available for feature in found.values())
    assert {"netem", "overlay", "nftables", "user_namespaces", "controller_memory", "namespace_net"} <= set(found)
