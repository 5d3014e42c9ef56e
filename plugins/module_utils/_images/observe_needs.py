# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller has to bring for a list of images, for a task that is about many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._core.errors import Needed
from .._core.observe_world import World
from .options import desired_image
from .plan import expect_missing
from .resource import ImageResource


def needs_of(entries: Iterable[Mapping[str, Any]], resource: ImageResource) -> dict[str, Any]:
    """What is to be returned as ``needs``; empty where everything is in hand.

    ``entries`` are options of oci_image, each with what was brought already as ``handed_over``. Changes nothing.
    Raises OptionError, Refused, KernelError.
    """
    needs: dict[str, Any] = {}
    world = World()
    for entry in entries:
        desired = desired_image(entry)
        try:
            resource.observe(desired, world)
        except Needed as error:
            needs = {**error.needs, "images": {**needs.get("images", {}), **error.needs["images"]}}
        expect_missing(world, desired.reference, desired.overrides)  # those that start from it come later
    return needs
