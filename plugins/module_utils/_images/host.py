# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operations on images are executed with."""

from __future__ import annotations

from typing import Any

from .._image.changes.change import Images
from .._image.store.store import Store
from .._kernel.kernel import Kernel
from .._runtime.process import build_cgroup


class ImageKernel(Kernel):
    """The kernel as image operations change the host with it."""

    images: Images
    build_cgroup = build_cgroup

    @property
    def isolated(self) -> Any:
        """What runs the commands of a build."""
        from .._runtime.process import isolated  # here: it is large, and seldom needed

        return isolated


def image_kernel(store: Store, kernel: Any = None) -> Any:
    """A kernel with ``images`` for that store."""
    kernel = kernel if kernel is not None else ImageKernel()
    kernel.images = Images(store, kernel)
    return kernel
