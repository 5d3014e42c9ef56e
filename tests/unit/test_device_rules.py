# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Device rules: what of config.json they are made of, and the program, run by a small interpreter."""

from __future__ import annotations

import itertools
import random
import struct
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import cgroup_devices
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.cgroup_devices import (
    BLOCK,
    CHARACTER,
    EVERYTHING,
    MAKE,
    READ,
    WRITE,
    Rule,
)
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.bundle import defaults, device_rules, spec
from ansible_collections.barekernel.containers.plugins.module_utils._runtime.errors import BundleError


def allowed(code: bytes, kind: int, major: int, minor: int, access: int) -> bool:
    """Run it as the kernel would; each instruction once at most, as it only jumps forward."""
    instructions = list(struct.iter_unpack("=BBhi", code))
    context = {0: access << 16 | kind, 4: major, 8: minor}
    registers: dict[int, int] = {}
    at = 0
    while True:
        opcode, both, offset, value = instructions[at]
        target, source = both & 15, both >> 4
        at += 1
        if opcode == 0x61:  # r = *(u32 *)(context + offset)
            assert source == 1
            registers[target] = context[offset]
        elif opcode == 0x57:
            registers[target] &= value
        elif opcode == 0x77:
            registers[target] >>= value
        elif opcode == 0xB7:
            registers[target] = value
        elif opcode == 0x55:
            at += offset if registers[target] != value else 0
        elif opcode == 0x45:
            at += offset if registers[target] & value else 0
        elif opcode == 0x05:
            at += offset
        else:
            assert opcode == 0x95
            return bool(registers[0])


def by_hand(rules: list[Rule], kind: int, major: int, minor: int, access: int) -> bool:
    """Each access by itself: the last rule about it."""
    for bit in (MAKE, READ, WRITE):
        about = [
            r.allow
            for r in rules
            if r.access & bit and r.kind in (None, kind) and r.major in (None, major) and r.minor in (None, minor)
        ]
        if access & bit and not (about and about[-1]):
            return False
    return True


REQUESTS = list(itertools.product((BLOCK, CHARACTER), (1, 2), (3, 4), range(8)))


def test_the_program_decides_as_the_rules_say() -> None:
    chance = random.Random(1)
    for _round in range(300):
        rules = [
            Rule(
                chance.random() < 0.5,
                chance.choice([None, BLOCK, CHARACTER]),
                chance.choice([None, 1, 2]),
                chance.choice([None, 3, 4]),
                chance.randrange(1, 8),
            )
            for _rule in range(chance.randrange(6))
        ]
        code = cgroup_devices.program(rules)
        for request in REQUESTS:
            assert allowed(code, *request) == by_hand(rules, *request), (rules, request)


def of(**changes: Any) -> spec.Spec:
    document = defaults.default_spec()
    linux = document["linux"]
    linux.update(changes.pop("linux", {}))
    document["mounts"] += changes.pop("mounts", [])
    return spec.parse(document, "/bundle")


def decides(wanted: spec.Spec, device: str, access: int, bound: tuple[tuple[int, int, int], ...] = ()) -> bool:
    kind, _space, number = device.partition(" ")
    major, minor = map(int, number.split(":"))
    code = cgroup_devices.program(device_rules.rules(wanted, bound))
    return allowed(code, {"c": CHARACTER, "b": BLOCK}[kind], major, minor, access)


@pytest.mark.parametrize("device", ["c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:2", "c 136:17"])
@pytest.mark.parametrize("given", [[], [{"allow": False, "access": "rwm"}]])
def test_the_default_devices_are_always_allowed(device: str, given: list[dict[str, Any]]) -> None:
    assert decides(of(linux={"resources": {"devices": given}}), device, EVERYTHING)


@pytest.mark.parametrize("device", ["b 8:0", "c 1:1", "c 1:11", "c 5:1", "c 10:200", "c 10:229", "b 7:0", "c 135:0"])
def test_any_other_device_can_be_made_and_not_opened(device: str) -> None:
    assert decides(of(), device, MAKE)
    assert not decides(of(), device, READ) and not decides(of(), device, WRITE)


def test_what_the_document_gives_is_allowed() -> None:
    fuse = {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}
    assert decides(of(linux={"devices": [fuse]}), "c 10:229", READ | WRITE)
    assert decides(of(), "b 7:1", READ | WRITE, bound=((BLOCK, 7, 1),))
    dri = {"destination": "/dev/dri", "type": "bind", "source": "/dev/dri", "options": ["rbind", "rnodev", "rdev"]}
    assert decides(of(mounts=[dri]), "c 226:0", READ | WRITE)
    assert not decides(of(mounts=[{**dri, "options": ["rbind"]}]), "c 226:0", READ)


def test_rules_of_the_document_replace_what_would_be_derived() -> None:
    fuse = {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}
    rules = [{"allow": False}, {"allow": True, "type": "c", "major": 10, "minor": -1, "access": "r"}]
    wanted = of(linux={"devices": [fuse], "resources": {"devices": rules}})
    assert decides(wanted, "c 10:229", READ) and not decides(wanted, "c 10:229", READ | WRITE)
    assert decides(wanted, "c 10:1", READ) and not decides(wanted, "b 10:1", READ)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"type": "c"}, "linux.resources.devices[0].allow: None: must be true or false"),
        ({"allow": True, "type": "x"}, "linux.resources.devices[0].type: 'x': must be a, b or c"),
        ({"allow": True, "access": "rx"}, "linux.resources.devices[0].access: 'rx': must consist of r, w and m"),
        ({"allow": True, "access": 7}, "linux.resources.devices[0].access: 7: must consist of r, w and m"),
        ({"allow": True, "major": "8"}, "linux.resources.devices[0].major: '8': must be"),
        ({"allow": True, "minor": 2**31}, "linux.resources.devices[0].minor: 2147483648: is not a device number"),
        ("rwm", "linux.resources.devices[0]: 'rwm': must be"),
    ],
)
def test_a_rule_that_means_nothing_is_named(rule: Any, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        device_rules.given({"devices": [rule]})
    assert str(caught.value).startswith(message)
