# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What names things of the test machines: keys in the cache, ports, segments, identities, QEMU's command line."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import os
import random
import socket

import pytest
from ansible_collections.barekernel.containers.tests.vm import (
    build,
    command_line,
    guest,
    initrd,
    key,
    ports,
    record,
    store,
)
from ansible_collections.barekernel.containers.tests.vm.errors import VmError
from ansible_collections.barekernel.containers.tests.vm.recipe import RECIPES
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.once

MACHINE = command_line.Machine(
    name="alpha",
    accelerator="tcg",
    memory=1024,
    cpus=2,
    disk="disk.qcow2",
    kernel="/images/k/vmlinuz",
    initrd="/images/k/initrd",
    ssh_port=2201,
    mac="52:54:00:aa:00:01",
    segment="239.192.0.1:50000",
)


def test_a_key_counts_names_values_and_boundaries() -> None:
    base = {"a": b"12", "b": b"3", "recipe": RECIPES["debian12"]}
    others = (
        {**base, "a": b"1", "b": b"23"},
        {**base, "a": b"3", "b": b"12"},
        {**base, "c": b""},
        {**base, "recipe": dataclasses.replace(RECIPES["debian12"], repository=("attr",))},
        {**base, "recipe": dataclasses.replace(RECIPES["debian12"], suite="trixie")},
    )
    keys = [key.digest(parts) for parts in (base, *others)]
    assert len(set(keys)) == len(keys)
    assert key.digest(dict(reversed(list(base.items())))) == keys[0]


def test_every_source_that_decides_an_image_exists() -> None:
    assert all(os.path.isfile(os.path.join(build.HERE, name)) for name in build.SOURCES)
    assert all(name in build.SOURCES for name in build.HOOKS)


@pytest.mark.parametrize(
    ("environment", "root"),
    [
        ({"HOME": "/home/a"}, "/home/a/.cache/barekernel/vm"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": ""}, "/home/a/.cache/barekernel/vm"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/var/cache/a"}, "/var/cache/a/barekernel/vm"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/x", "BAREKERNEL_VM_CACHE": "/fast"}, "/fast"),
    ],
)
def test_where_the_cache_is(environment: dict[str, str], root: str) -> None:
    assert store.root(environment) == root


def bindable(port: int) -> bool:
    """Whether the port still is free: anyone on this machine may have taken it since it was picked."""
    with contextlib.suppress(OSError), socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        return True
    return False


def test_a_free_port_can_be_bound() -> None:
    assert any(bindable(ports.free_port()) for _try in range(10))


def test_a_free_port_is_none_that_is_held() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        assert ports.free_port() != holder.getsockname()[1]


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ("qemu-system-x86_64: -netdev user,id=n0: Could not set up host forwarding rule 'tcp:127.0.0.1:22-:22'", True),
        ("qemu-system-x86_64: -drive file=disk.qcow2: Could not open 'disk.qcow2'", False),
        ("", False),
    ],
)
def test_a_taken_port_is_told_from_other_failures(words: str, taken: bool) -> None:
    assert ports.was_taken(words) is taken


@given(st.integers(0, 2**32))
def test_a_segment_is_a_private_multicast_group_and_an_ephemeral_port(seed: int) -> None:
    group, _, port = ports.segment(random.Random(seed)).partition(":")
    assert ipaddress.ip_address(group) in ipaddress.ip_network("239.192.0.0/10")
    assert 49152 <= int(port) <= 65535


def test_two_checkouts_have_two_runs(tmp_path) -> None:
    assert record.run_directory(str(tmp_path / "a")) != record.run_directory(str(tmp_path / "b"))


@given(st.integers(1, 250))
def test_an_identity_is_unicast_and_in_the_segment(number: int) -> None:
    identity = guest.Identity("x", number)
    assert int(identity.mac.split(":")[0], 16) & 1 == 0
    assert ipaddress.ip_address(identity.address4) in ipaddress.ip_network("192.168.77.0/24")
    assert ipaddress.ip_address(identity.address6) in ipaddress.ip_network("fd77::/64")
    assert identity.mac != guest.Identity("x", number % 250 + 1).mac or number == number % 250 + 1


def options(words: list[str], name: str) -> list[str]:
    return [value for flag, value in zip(words, words[1:]) if flag == name]


def test_the_guest_has_no_way_out_but_its_forwarded_port() -> None:
    first, second = options(command_line.argv(MACHINE), "-netdev")
    assert first == "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:2201-:22"
    assert second == "socket,id=n1,mcast=239.192.0.1:50000,localaddr=127.0.0.1"


def test_accelerator_hybrid_and_incoming_change_only_their_words() -> None:
    plain = command_line.argv(MACHINE)
    assert options(plain, "-accel") == ["tcg,thread=multi,tb-size=512"]
    kvm = command_line.argv(dataclasses.replace(MACHINE, accelerator="kvm"))
    assert options(kvm, "-accel") == ["kvm"] and options(kvm, "-cpu") == ["host"]
    hybrid = command_line.argv(dataclasses.replace(MACHINE, hybrid=True))
    assert [(a, b) for a, b in zip(plain, hybrid) if a != b] == [
        (command_line.kernel_arguments(False), command_line.kernel_arguments(True))
    ]
    assert command_line.argv(dataclasses.replace(MACHINE, incoming="defer")) == [*plain, "-incoming", "defer"]


def test_a_comma_in_a_path_stays_in_the_path() -> None:
    (drive,) = options(command_line.argv(dataclasses.replace(MACHINE, disk="/a,b/disk")), "-drive")
    assert drive.startswith("file=/a,,b/disk,if=none")


def test_modules_are_loaded_after_what_they_need_and_built_in_ones_not_at_all() -> None:
    dep = "k/ext4.ko.xz: k/jbd2.ko.xz k/mb-cache.ko.xz\nk/jbd2.ko.xz:\nk/mb-cache.ko.xz: k/jbd2.ko.xz\nk/v.ko:\n"
    order = initrd.load_order(("v", "ext4", "virtio_pci"), dep, "kernel/drivers/virtio/virtio_pci.ko\n")
    assert order == ["k/v.ko", "k/jbd2.ko.xz", "k/mb-cache.ko.xz", "k/ext4.ko.xz"]
    with pytest.raises(VmError, match="no module nvme"):
        initrd.load_order(("nvme",), dep, "")


def test_a_cpio_archive_is_aligned_and_ends_with_its_trailer() -> None:
    archive = initrd.cpio({"init": (0o100755, b"#!/bin/sh\n"), "dev": (0o040755, b"")})
    assert archive.startswith(b"070701") and len(archive) % 4 == 0
    at, names = 0, []
    while at < len(archive):
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, length = fields[6], fields[11]
        names.append(archive[at + 110 : at + 110 + length - 1])
        content = at + 110 + length + -(110 + length) % 4
        at = content + size + -size % 4
    assert names == [b"init", b"dev", b"TRAILER!!!"]
