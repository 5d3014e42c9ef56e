# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel, and beside it what containers need: the runtime, its installation and systemd."""

from __future__ import annotations

from .._image.store import volume
from .._kernel import systemd
from .._kernel.kernel import Kernel
from .._runtime.supervise import control
from . import library


class ContainerHost(Kernel):
    """What operations on containers are executed with."""

    runtime = control
    library = library
    systemd = systemd
    volumes = volume
