# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kernel parameters of a network namespace are when nobody has set them."""

from __future__ import annotations

from collections.abc import Iterable

from .._core.observe_links import netns_identity
from .._core.observe_world import World
from .._kernel import sysctl, sysctl_carried
from .._kernel.namespaces import NetnsRef
from .sysctls import interface_of, sample_of


def values_of_new(ref: NetnsRef, names: Iterable[str]) -> dict[str, str | None]:
    """Of the namespace as when it was made, of an interface as of a new one there; None where that is not known.

    Raises KernelError.
    """
    names = tuple(names)
    fresh = sysctl.read_fresh(tuple(name for name in names if interface_of(name) is None)) if names else {}
    likes = {name: sample_of(name) for name in names if name not in fresh}
    inherited = sysctl.read_many(tuple(like for like in likes.values() if like is not None), ref) if likes else {}
    return {**fresh, **{name: inherited.get(like or "") for name, like in likes.items()}}


def overwritten(
    keys: Iterable[tuple[NetnsRef, str]], world: World
) -> dict[tuple[NetnsRef, str], dict[str, str | None]]:
    """Of parameters of namespaces that exist: what the kernel overwrites along with each. Raises KernelError."""
    found = {}
    for ref, name in keys:
        where = sysctl_carried.directory(name)
        if where is not None and netns_identity(world, ref) is not None:
            entries = sysctl.entries(where, ref)
            found[ref, name] = world.sysctls(sysctl_carried.along(name, entries), ref)
    return found
