# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a single file of a stack of layers that nobody has mounted."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .find import Stack

_LARGEST = 8 * 1024 * 1024


def read_file(layers: Sequence[str], path: str) -> bytes | None:
    """The file as an overlay of ``layers`` (top first) would show it, None where there is none.

    Symlinks are followed as in a container with that root, from one layer into another too. Every layer is untrusted:
    nothing outside of it is ever opened. A layer that is missing shows nothing. Raises CannotTell, KernelError.
    """
    with Stack([layer for layer in layers if os.path.isdir(layer)]) as stack:
        return stack.read(path, _LARGEST)
