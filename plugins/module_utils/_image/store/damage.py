# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of an image in the store is not what it says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Damage:
    """Digests of blobs and keys of layers that are not what they should be, and why, a sentence each."""

    blobs: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    why: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.blobs or self.layers)
