# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an overlay cannot be made of, and what it must not touch: said before anything is changed."""

from __future__ import annotations

import os

from .._core.errors import OptionError, Refused
from .._core.paths import ancestors, show_path
from .._kernel.errors import absent
from .records import Desired, Directory, Observed


def check_layers(desired: Desired, observed: Observed) -> None:
    """Raises OptionError for layers that are missing, no directories or in each other's way."""
    for named, lower in zip(desired.lowerdirs, observed.layers.lowerdirs):
        _must_be_directory("lowerdirs", named, observed.directory(lower))
    _check_overlap(observed)
    for option, given, real_path in (
        ("path", desired.path, observed.path),
        ("upperdir", desired.upperdir, observed.layers.upperdir),
        ("workdir", desired.workdir, observed.layers.workdir),
    ):
        if given is None or real_path is None:
            continue
        state = observed.directory(real_path)
        if state.exists or not desired.create:
            _must_be_directory(option, given, state)
        else:
            _check_parents(option, given, real_path, observed)
    _check_one_mount(desired, observed)
    if observed.unit_refusal and desired.systemd:
        message = f"no mount unit can express this overlay: {observed.unit_refusal}. Leave systemd out"
        raise OptionError("systemd", True, message)


def _must_be_directory(option: str, given: bytes, state: Directory) -> None:
    if not state.exists:
        raise absent(OptionError(option, show_path(given), "there is no such directory"))
    if not state.is_directory:
        raise OptionError(option, show_path(given), "is not a directory")


def _check_parents(option: str, given: bytes, path: bytes, observed: Observed) -> None:
    """What is to be created needs directories above it."""
    for parent in ancestors(path):
        state = observed.directory(parent)
        if state.exists:
            if not state.is_directory:
                raise OptionError(option, show_path(given), f"{show_path(parent)} is not a directory")
            return


def _check_overlap(observed: Observed) -> None:
    """The kernel refuses (ELOOP) layers inside one another; a layer on another file system is not inside."""
    layers = observed.layers
    named = [("lowerdirs", path) for path in layers.lowerdirs]
    named += [(o, p) for o, p in (("upperdir", layers.upperdir), ("workdir", layers.workdir)) if p is not None]
    by_path: dict[bytes, str] = {}
    for option, path in named:
        if path in by_path:
            raise OptionError(option, show_path(path), f"is named twice (also in {by_path[path]})")
        by_path[path] = option
    for option, path in named:
        for above in ancestors(path):
            if above in by_path and _same_device(observed, path, above):
                message = f"lies inside {show_path(above)}, which {by_path[above]} names: layers must be apart"
                raise OptionError(option, show_path(path), message)


def _same_device(observed: Observed, path: bytes, above: bytes) -> bool:
    first, second = observed.directory(path).identity, observed.directory(above).identity
    return first is None or second is None or first[0] == second[0]


def _check_one_mount(desired: Desired, observed: Observed) -> None:
    upper, work = observed.layers.upperdir, observed.layers.workdir
    if upper is None or work is None or desired.workdir is None:
        return
    mounts = {_mount_of(path, observed) for path in (upper, work)}
    if len(mounts) > 1:
        message = f"must be in the same mount as upperdir {show_path(upper)}"
        raise OptionError("workdir", show_path(desired.workdir), message)


def _mount_of(path: bytes, observed: Observed) -> int | None:
    """The mount that a path is in, or will be in once it is created."""
    for each in (path, *ancestors(path), b"/"):
        state = observed.directory(each)
        if state.exists:
            return state.mount_id
    return None


def check_target(desired: Desired, observed: Observed) -> None:
    """Raises Refused where something foreign is in the way, or another overlay uses the upper layer."""
    if observed.stack and not observed.ours and (observed.covered or not desired.cover):
        below = "over an overlay of ours, " if observed.covered else ""
        raise Refused(
            f"path {show_path(observed.path)}: {_foreign(observed)} is mounted there, {below}and is not ours. "
            "Unmount it, or choose another path" + ("" if observed.covered else ", or set cover=true to mount over it")
        )
    if observed.users:
        raise Refused(
            f"upperdir {show_path(observed.layers.upperdir or b'')} or its workdir is in use by the overlay on "
            + ", ".join(observed.users)
            + ": two mounts must not share them. Unmount that one, or name other directories"
        )
    _check_unit(observed)


def left_alone(observed: Observed) -> str:
    """The warning that something is still mounted at the path although no overlay of ours is."""
    return f"{show_path(observed.path)}: {_foreign(observed)} is mounted there; it is not ours and was left alone"


def check_absent(desired: Desired, observed: Observed) -> None:
    """Raises Refused where what is to go is not ours."""
    if observed.covered:
        raise Refused(
            f"path {show_path(observed.path)}: {_foreign(observed)} is mounted over our overlay and is not ours. "
            "Nothing was changed; if it has to go, unmount it with umount(8) first"
        )
    _check_unit(observed)
    upper = observed.live.layers.upperdir if observed.live else observed.layers.upperdir
    state = observed.directory(upper) if upper is not None else None
    if desired.purge and upper is not None and state is not None and state.exists and not state.marked:
        raise Refused(
            f"upperdir {show_path(upper)}: was not created by this module, so purge leaves it alone. "
            "Remove it with ansible.builtin.file, and run again without purge"
        )


def _check_unit(observed: Observed) -> None:
    if (
        observed.unit is not None
        and observed.unit_text is not None
        and not observed.unit_text.startswith("# Written by")
    ):
        raise Refused(
            f"systemd: {observed.unit.path} exists and was not written by this module: "
            "remove it, or mount by that unit alone"
        )


def _foreign(observed: Observed) -> str:
    top = observed.stack[0]
    return f"{top.fstype} from {show_path(top.source)}" if top.source else os.fsdecode(top.fstype)
