# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in kernels do what tests rely on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._core.files import MakeDirectory, RemoveDirectory
from ansible_collections.barekernel.containers.plugins.module_utils._kernel import files
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.kernel import Kernel

from tests.kernels import DIED, Dying, Recording, Refusing, Touched


def operations(tmp_path: Path) -> list[MakeDirectory | RemoveDirectory]:
    owner = (os.getuid(), os.getgid())
    new = str(tmp_path / "new")
    return [MakeDirectory(new, 0o755, *owner), RemoveDirectory(new), MakeDirectory(new, 0o700, *owner)]


def test_a_recording_kernel_does_and_tells(tmp_path: Path) -> None:
    kernel = Recording(Kernel())
    for operation in operations(tmp_path):
        operation.execute(kernel)
    assert kernel.calls == ["files.make_directory", "files.remove_directory", "files.make_directory"]
    assert (tmp_path / "new").is_dir()


def test_a_refusing_kernel_lets_nothing_through(tmp_path: Path) -> None:
    with pytest.raises(Touched, match="files.make_directory"):
        operations(tmp_path)[0].execute(Refusing(Kernel()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after_call, left", [(0, False), (1, True), (2, False), (3, True)])
def test_a_dying_kernel_ends_the_process_after_that_call(tmp_path: Path, after_call: int, left: bool) -> None:
    child = os.fork()
    if child == 0:
        kernel = Dying(Kernel(), after_call)
        for operation in operations(tmp_path):
            operation.execute(kernel)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED
    assert (tmp_path / "new").exists() is left


def test_a_kernel_has_its_interfaces_and_no_others() -> None:
    assert Kernel().files is files
    assert not hasattr(Kernel(), "clone"), "a file of _kernel, but nothing that operations may use"
