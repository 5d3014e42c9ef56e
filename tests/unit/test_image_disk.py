# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an error about a full disk says, and which errors are about one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError, Unreachable
from ansible_collections.barekernel.containers.plugins.module_utils._image.store import disk
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError

ELSEWHERE = "/proc/self"  # a directory of another file system, on every host

FULL = "no space left on device"
#: An error, and below what it then says that space is short; None where it is left as it is.
ERRORS = {
    "a full disk": (KernelError(errno.ENOSPC, "write", "etc/passwd"), "root"),
    "a command's words": (ImageError("run: 'cp' ended with status 1: cp: No space left on device"), "root"),
    "a command's file": (
        ImageError(f"run: 'cp' ended with status 1: cp: {ELSEWHERE}/x: No space left on device"),
        "root",
    ),
    "a file that is saved": (Unreachable(f"save to x: write {ELSEWHERE}/x: {FULL}"), ELSEWHERE),
    "a file of the store": (Unreachable(f"copy: write ROOT/x: {FULL}"), "root"),
    "too many mounts": (KernelError(errno.ENOSPC, "move_mount", "/x"), None),
    "too many namespaces": (KernelError(errno.ENOSPC, "unshare"), None),
    "a control file": (KernelError(errno.ENOSPC, "write", "/sys/fs/cgroup/x/cgroup.procs"), None),
    "another error": (KernelError(errno.EACCES, "write", "x"), None),
    "one that is explained": (KernelError(errno.ENOSPC, "write", "x", "Buy another one"), None),
    "another message": (ImageError("the layer is damaged"), None),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_a_full_disk_is(name: str, tmp_path: Path) -> None:
    error, below = ERRORS[name]
    before = str(error)
    disk.explain(error, str(tmp_path), "about 500")
    if below is None:
        assert str(error) == before
        return
    where = str(tmp_path) if below == "root" else below
    assert str(error).startswith(
        f"{before}. The image needs about 500 bytes below {where}, whose file system (mounted at "
    )
    assert str(error).endswith("free. Free some space there, or run oci_image_prune")
    assert str(error).count("Free some") == 1


def test_a_quota_and_what_is_not_known() -> None:
    error = KernelError(errno.EDQUOT, "write", "x")
    disk.explain(error, "/proc", before=7)
    assert str(error) == (
        "write x: Disk quota exceeded (EDQUOT). The image needs more than there is below /proc, whose file system had "
        "7 bytes free before and has 0 free, but a disk quota allows no more. "
        "Raise the quota, free some space there, or run oci_image_prune"
    )


def test_no_inode(monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs_result((4096, 4096, 100, 50, 50, 10, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(ImageError, match="x needs 204801 bytes below /proc, .* has 204800 free, and no inode is left"):
        disk.check_room("/proc", 204801, "x")
    disk.check_room("/proc", 204800, "x")
