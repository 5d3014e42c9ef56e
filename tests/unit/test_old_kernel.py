# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kernel that lacks a system call: the error says which Linux has it."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import clone, libc, mount, process
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.errors import KernelError


class Old:
    """The C library on a kernel that knows none of the calls."""

    @staticmethod
    def syscall(*_arguments: object) -> int:
        ctypes.set_errno(errno.ENOSYS)
        return -1


@pytest.fixture(autouse=True)
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libc, "_libc", Old())


@pytest.mark.parametrize(
    ("call", "name", "since"),
    [
        (lambda: mount.fsopen("overlay"), "fsopen", "5.2"),
        (lambda: mount.open_tree(mount.AT_FDCWD, "/"), "open_tree", "5.2"),
        (lambda: mount.mount_setattr(mount.AT_FDCWD, "/"), "mount_setattr", "5.12"),
        (lambda: clone.clone3(0), "clone3", "5.3"),
        (lambda: process.pidfd_open(1), "pidfd_open", "5.3"),
    ],
)
def test_the_error_says_which_linux_has_it(call: Callable[[], object], name: str, since: str) -> None:
    with pytest.raises(KernelError) as refused:
        call()
    assert refused.value.errno == errno.ENOSYS and str(refused.value).startswith(name)
    assert f"kernel ({os.uname().release}) is too old for it" in refused.value.hint
    assert refused.value.hint.endswith(f"use Linux {since} or later")
