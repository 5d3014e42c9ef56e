# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an overlay mount should be and what is there: the records between the overlay's resource and its planner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._core.paths import show_path
from .._kernel import mount
from .._kernel.mountinfo import Mount
from .._kernel.overlay_state import Defaults, Layers, LiveOverlay
from .._kernel.subids import Granted
from .mount_unit import MountUnit

#: Mount flags as fstab and mountinfo write them.
FLAGS = {
    "ro": mount.MOUNT_ATTR_RDONLY,
    "nosuid": mount.MOUNT_ATTR_NOSUID,
    "nodev": mount.MOUNT_ATTR_NODEV,
    "noexec": mount.MOUNT_ATTR_NOEXEC,
    "noatime": mount.MOUNT_ATTR_NOATIME,
}
#: Flags of a running mount that no option sets.
_OTHER_FLAGS = {"nodiratime": mount.MOUNT_ATTR_NODIRATIME, "nosymfollow": mount.MOUNT_ATTR_NOSYMFOLLOW}
#: Overlay options in the order in which they are given to the kernel.
OPTIONS = ("userxattr", "metacopy", "redirect_dir", "index", "nfs_export", "xino", "volatile")


@dataclass(frozen=True)
class Ownership:
    """What directories that have to be created are like."""

    uid: int = 0
    gid: int = 0
    mode: int = 0o755


@dataclass(frozen=True)
class Desired:
    """An overlay mount as declared. None, where an option may be None, means: as it is."""

    path: bytes
    present: bool = True
    lowerdirs: tuple[bytes, ...] = ()
    upperdir: bytes | None = None
    workdir: bytes | None = None
    idmap: tuple[int, int] | None = None
    #: Overlay options that were given, by name: "on", "off" or another word of the kernel's.
    options: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] | None = None
    propagation: str | None = None
    create: bool = True
    ownership: Ownership = Ownership()
    cover: bool = False
    volatile_recover: bool = False
    systemd: bool = False
    lazy: bool = False
    purge: bool = False

    @property
    def mount_options(self) -> tuple[str, ...]:
        """The overlay options as the kernel takes them."""
        flags = {"volatile", "userxattr"}
        given = [(name, self.options[name]) for name in OPTIONS if name in self.options]
        return tuple(
            name if name in flags else f"{name}={value}" for name, value in given if name not in flags or value == "on"
        )

    @property
    def attributes(self) -> int:
        return sum(FLAGS[name] for name in self.flags or ())


@dataclass(frozen=True)
class Directory:
    """A directory that the overlay needs (or something else of that name)."""

    exists: bool = False
    is_directory: bool = False
    #: Made by us, and not more than that: only such a directory is ever removed.
    marked: bool = False
    #: Names in it, where it is marked (at most a few dozen: enough to know whether it will be empty).
    entries: frozenset[bytes] = frozenset()
    #: Device and inode; mount ID.
    identity: tuple[int, int] | None = None
    mount_id: int | None = None


MISSING = Directory()


@dataclass(frozen=True)
class Observed:
    """Everything the planner looks at."""

    #: The declared paths with their symlinks resolved.
    path: bytes
    layers: Layers
    #: Mounts at exactly that path as it is seen now, topmost first, and which of them are overlays of ours.
    stack: tuple[Mount, ...] = ()
    live: LiveOverlay | None = None
    #: How many of the topmost mounts are ours.
    ours: int = 0
    #: Whether something foreign is mounted over an overlay of ours.
    covered: bool = False
    #: Whether all layers are on one file system, where xino means nothing.
    one_file_system: bool = True
    #: The mount on which those of ours are.
    above: Mount | None = None
    #: The layers a record names although its mount is gone.
    recorded: Layers | None = None
    record_path: str = ""
    record_exists: bool = False
    directories: Mapping[bytes, Directory] = field(default_factory=dict)
    #: Other overlays that use the upperdir or workdir.
    users: tuple[str, ...] = ()
    #: The kernel's mark of a volatile overlay that ended without being unmounted by us.
    volatile_leftover: bool = False
    defaults: Defaults = Defaults()
    unit: MountUnit | None = None
    #: Why no unit can express what is declared.
    unit_refusal: str = ""
    unit_text: str | None = None
    unit_enabled: bool = False
    systemd_runs: bool = False
    #: IDs that users of the host may map, where IDs are mapped here.
    granted_ids: tuple[Granted, ...] = ()

    def directory(self, path: bytes) -> Directory:
        return self.directories.get(path, MISSING)


def redirect(value: str, defaults: Defaults, writable: bool) -> str:
    """redirect_dir as this kernel means it: "off" is an alias, and without an upperdir following is all there is."""
    meant = defaults.off_means if value == "off" else value
    return "on" if meant == "follow" and not writable else meant


def live_options(live: LiveOverlay, defaults: Defaults, one_file_system: bool) -> dict[str, str]:
    """Each overlay option's value in the running overlay; xino only where it is known to make a difference."""
    shown = {key: value if value is not None else "on" for key, value in live.options}
    volatile = "on" if "volatile" in shown or shown.get("fsync") == "volatile" else "off"
    redirect_dir = redirect(
        shown.get("redirect_dir", defaults.redirect_dir), defaults, live.layers.upperdir is not None
    )
    values = {
        "metacopy": shown.get("metacopy", defaults.metacopy),
        "redirect_dir": redirect_dir,
        "index": shown.get("index", defaults.index),
        "nfs_export": shown.get("nfs_export", defaults.nfs_export),
        "volatile": volatile,
        "userxattr": "on" if "userxattr" in shown else "off",
    }
    if one_file_system and "xino" not in shown:
        return values  # the kernel never shows it then
    return {**values, "xino": shown.get("xino", defaults.xino)}


def running_options(observed: Observed) -> dict[str, str]:
    """live_options of what runs at the path: empty when there is none of ours."""
    if observed.live is None:
        return {}
    return live_options(observed.live, observed.defaults, observed.one_file_system)


def has_option(name: str, desired: Desired, observed: Observed, live: LiveOverlay) -> bool:
    """Whether the running overlay has an option that was given as it is wanted, aliases included."""
    wanted, running = desired.options[name], running_options(observed)
    if name == "redirect_dir":
        return redirect(wanted, observed.defaults, live.layers.upperdir is not None) == running[name]
    if name == "xino" and running.get(name) == "off":
        # The kernel turns it off where the file systems of the layers do not suit it, and would do so again.
        asked = desired.options if mounted_by_unit(desired, observed) else live.asked
        return wanted in ("off", asked.get(name))
    return name not in running or running[name] == wanted


def mounted_by_unit(desired: Desired, observed: Observed) -> bool:
    """Whether the overlay runs since boot, where it has no record: the unit names its layers and options."""
    unit, live = observed.unit, observed.live
    recorded = live is not None and live.recorded
    return desired.systemd and not recorded and unit is not None and observed.unit_text == unit.text


def propagation_of(mounted: Mount) -> str:
    """A mount's propagation type by its name in mount_namespaces(7)."""
    kinds = {field_.partition(":")[0] for field_ in mounted.propagation}
    if "unbindable" in kinds:
        return "unbindable"
    if "shared" in kinds:
        return "shared"
    return "slave" if "master" in kinds else "private"


def layers_shown(layers: Layers) -> dict[str, Any]:
    """Layers as plain data for diffs and results."""
    return {
        "lowerdirs": [show_path(path) for path in layers.lowerdirs],
        "upperdir": show_path(layers.upperdir) if layers.upperdir is not None else None,
        "workdir": show_path(layers.workdir) if layers.workdir is not None else None,
        "idmap": {"host_id": layers.idmap[0], "size": layers.idmap[1]} if layers.idmap else None,
    }


def live_state(observed: Observed) -> dict[str, Any]:
    """The running overlay as plain data: empty when there is none of ours at the path."""
    if observed.live is None:
        return {}
    return {
        "path": show_path(observed.path),
        **layers_shown(observed.live.layers),
        **running_options(observed),
        "flags": live_flags(observed.live),
        "propagation": propagation_of(observed.live.mount),
        "stacked": observed.ours,
        "systemd": observed.unit_text is not None,
    }


def live_flags(live: LiveOverlay) -> list[str]:
    """Which of FLAGS a mount has, sorted."""
    return sorted(set(FLAGS) & set(live.mount.flags))


def live_attributes(live: LiveOverlay) -> int:
    """Every flag of a running mount as a new one takes it (MOUNT_ATTR_*), also those that no option sets."""
    flags = set(live.mount.flags)
    atime = mount.MOUNT_ATTR_RELATIME if flags & {"relatime", "noatime"} else mount.MOUNT_ATTR_STRICTATIME
    return atime | sum(value for name, value in {**FLAGS, **_OTHER_FLAGS}.items() if name in flags)


def compared_state(desired: Desired, observed: Observed) -> dict[str, Any]:
    """The part of live_state that is compared: overlay options and propagation only where they were given.

    A value that is the wanted one by another name is shown by the name that was asked for.
    """
    state = live_state(observed)
    if observed.live is None:
        return state
    running = running_options(observed)
    for name in OPTIONS:
        state.pop(name, None)
        if name in desired.options:
            same = has_option(name, desired, observed, observed.live)
            state[name] = desired.options[name] if same else running[name]
    live = state.pop("propagation")
    if desired.propagation is not None:
        state["propagation"] = live if propagation_to_set(desired.propagation, live) else desired.propagation
    return state


def propagation_to_set(wanted: str | None, live: str) -> str | None:
    """What a mount has to be made, None where it is right. A slave of nobody is private, as the kernel has it."""
    if wanted is None or wanted == live or (wanted == "slave" and live == "private"):
        return None
    return "private" if wanted == "slave" and live == "unbindable" else wanted


def declared_state(desired: Desired, observed: Observed) -> dict[str, Any]:
    """What compared_state will be once the overlay is as declared."""
    live = live_flags(observed.live) if observed.live is not None else []
    state = {
        "path": show_path(observed.path),
        **layers_shown(observed.layers),
        **desired.options,
        "flags": sorted(desired.flags) if desired.flags is not None else live,
        "stacked": 1,
        "systemd": desired.systemd,
    }
    return {**state, "propagation": desired.propagation} if desired.propagation is not None else state
