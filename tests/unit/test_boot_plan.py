# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What boot needs on a host, and when it goes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from unittest.mock import Mock, call

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._boot import plan as boot
from ansible_collections.barekernel.containers.plugins.module_utils._boot.plan import (
    CGROUPS,
    LINKS,
    NETWORKS,
    BootState,
)
from ansible_collections.barekernel.containers.plugins.module_utils._core.operation import Plan
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.supervise import unit

NEW = BootState(systemd=True, library=None, library_wanted="v1")
READY = replace(NEW, library="v1", unit=NETWORKS.text, enabled=True)
BARE = replace(NEW, systemd=False)
KEPT = replace(NEW, service=LINKS)
RECORD = boot.record_path("netns_veth/a")
INSTALL = "install nsrun v1"
UNIT = [f"write {NETWORKS.path}", "have systemd read its unit files again"]
ENABLE = f"enable {NETWORKS.unit}"


def actions(operations: list[Any]) -> list[str]:
    """Without the directories that go when nothing is left in them."""
    return [a for a in Plan(tuple(operations), {}, {}).actions if "if nothing is left" not in a]


@pytest.mark.parametrize(
    ("state", "key", "expected"),
    [
        (NEW, "bridge_network/a", [INSTALL, UNIT[0], ENABLE]),
        (READY, "bridge_network/a", []),
        (replace(READY, library="v0"), "bridge_network/a", [INSTALL]),
        (replace(READY, unit="older"), "bridge_network/a", UNIT),
        (replace(READY, enabled=False), "bridge_network/a", [ENABLE]),
        # Without systemd nothing comes back, but containers still need their runtime.
        (BARE, "bridge_network/a", []),
        (BARE, "ns_container/a", [INSTALL]),
    ],
)
def test_what_is_made_first(state: BootState, key: str, expected: list[str]) -> None:
    assert actions(boot.plan_boot_first(state, key, None)) == expected


@pytest.mark.parametrize(
    "operations",
    [
        boot.plan_boot_first(NEW, "ns_container/a", None),
        boot.plan_boot_first(replace(READY, unit="older"), "ns_container/a", None),
        boot.plan_boot_last(READY, "ns_container/a", True),
        boot.plan_boot_last(replace(READY, unit=None), "ns_container/a", True),
    ],
)
def test_systemd_reads_its_files_once(operations: list[Any]) -> None:
    """It takes seconds on a slow host."""
    kernel = Mock()
    for operation in operations:
        operation.execute(kernel)
    assert kernel.systemd.daemon_reload.call_count == 1
    assert kernel.mock_calls.index(call.systemd.daemon_reload()) > max(
        kernel.mock_calls.index(done)
        for done in kernel.mock_calls
        if done[0] in ("systemd.enable", "systemd.disable", "files.write_atomically", "files.remove_file")
    )


def test_a_record_is_written_when_it_differs() -> None:
    state = replace(KEPT, library="v1", unit=LINKS.text, enabled=True)
    written = actions(boot.plan_boot_first(state, "netns_veth/a", {"name": "a"}))
    assert [a for a in written if a.startswith(f"write {RECORD}")]
    same = replace(state, records={RECORD: boot.record_text({"name": "a"})})
    assert boot.plan_boot_first(same, "netns_veth/a", {"name": "a"}) == []


def test_a_record_keeps_what_a_newer_version_has_added() -> None:
    newer = json.dumps({**json.loads(boot.record_text({"name": "a"})), "more": [1]})
    assert json.loads(boot.record_text({"name": "a", "mtu": 9}, newer)) == {
        "version": 1,
        "more": [1],
        "params": {"name": "a", "mtu": 9},
    }
    options_alone = json.dumps({"name": "a"})
    assert boot.record_text({"name": "a"}, options_alone) == boot.record_text({"name": "a"}, "{damaged")


@pytest.mark.parametrize(
    ("state", "key", "removed", "expected"),
    [
        (replace(READY, declared=frozenset({"bridge_network/a", "ns_container/b"})), "bridge_network/a", True, []),
        (
            replace(READY, declared=frozenset({"bridge_network/a"})),
            "bridge_network/a",
            True,
            [
                f"disable {NETWORKS.unit}",
                f"remove {NETWORKS.path}",
                UNIT[1],
                "remove nsrun, as nothing is left that needs it",
            ],
        ),
        # A network needs no runtime where systemd does not run.
        (
            replace(BARE, library="v1", declared=frozenset({"ns_container/b", "bridge_network/a"})),
            "ns_container/b",
            True,
            ["remove nsrun, as nothing is left that needs it"],
        ),
        (replace(NEW, declared=frozenset()), "bridge_network/a", False, []),
    ],
)
def test_what_goes_with_the_last(state: BootState, key: str, removed: bool, expected: list[str]) -> None:
    assert actions(boot.plan_boot_last(state, key, removed)) == expected


def test_the_record_goes_last() -> None:
    """A removal that is interrupted is found again by it."""
    state = replace(KEPT, library="v1", unit=LINKS.text, enabled=True, records={RECORD: "{}"})
    assert actions(boot.plan_boot_last(state, "netns_veth/a", True))[-1] == f"remove {RECORD}"


def test_each_service_starts_after_those_it_needs() -> None:
    earlier: list[str] = []
    for service in boot.SERVICES:
        after = next(line for line in service.text.splitlines() if line.startswith("After=")).partition("=")[2].split()
        assert earlier[-1:] == [one for one in after if one.startswith("barekernel")]
        earlier.append(service.unit)
    assert "nftables.service" in NETWORKS.text
    assert CGROUPS is boot.SERVICES[0]


@pytest.mark.parametrize("service", boot.SERVICES, ids=lambda service: str(service.name))
def test_no_container_can_have_its_name(service: boot.Service) -> None:
    assert not service.unit.startswith(unit.unit_name("x").partition("x")[0])
