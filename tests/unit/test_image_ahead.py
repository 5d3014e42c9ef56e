# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Syncing while layers still unpack; asking a registry once."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.sources.from_registry import Registry
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.unpack import Ahead
from ansible_collections.barekernel.containers.plugins.module_utils._image.store.write import Writer
from ansible_collections.barekernel.containers.plugins.module_utils._images import plan as planner
from ansible_collections.barekernel.containers.plugins.module_utils._images.resource import ImageResource
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError


class Disk(Writer):
    """A writer that notes each sync in a file, as it happens in another process, or fails at it."""

    def __init__(self, notes: Path, failure: int = 0) -> None:
        self._notes = notes
        self._failure = failure

    def sync(self) -> None:
        if self._failure:
            raise KernelError(self._failure, "syncfs", "/store")
        with open(self._notes, "a") as notes:
            notes.write("sync\n")

    @property
    def syncs(self) -> int:
        return len(self._notes.read_text().splitlines()) if self._notes.exists() else 0


def test_much_is_synced_before_the_end_and_little_is_not(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "notes")
    with Ahead(disk) as syncing:
        syncing.unpacked(1 << 20)
    assert disk.syncs == 0
    with Ahead(disk) as syncing:
        syncing.unpacked(1 << 20)
        syncing.unpacked(1 << 30)
    assert disk.syncs == 1


def test_a_failure_of_the_disk_is_not_lost(tmp_path: Path) -> None:
    with pytest.raises(KernelError) as caught, Ahead(Disk(tmp_path / "notes", errno.EIO)) as syncing:
        syncing.unpacked(1 << 30)
    assert caught.value.errno == errno.EIO


def test_another_error_is_the_one_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError), Ahead(Disk(tmp_path / "notes", errno.EIO)) as syncing:
        syncing.unpacked(1 << 30)
        raise ValueError


@pytest.mark.parametrize("refresh", [planner.IF_MISSING, planner.IF_CHANGED, planner.ALWAYS])
def test_a_registry_is_not_asked_again_after_the_pull(refresh: str) -> None:
    desired = planner.Desired("app", source=Registry("registry.example/app:1"), refresh=refresh)
    assert ImageResource().settled(desired).refresh == planner.IF_MISSING
