# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The overlay_mount resource: options, and what the kernel shows of them."""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
from collections.abc import Mapping
from typing import Any

from .._core.errors import OptionError
from .._core.modes import parse_mode
from .._core.observe_own_paths import refuse_ours
from .._core.observe_world import World
from .._core.operation import Plan
from .._core.paths import ancestors, parse_path, show_path
from .._core.resource import Resource
from .._core.user_ids import taken_by_users
from .._kernel import files, mount, mountinfo, overlay_state, subids, systemd
from .._kernel.errors import KernelError
from .._kernel.file_mode import mode_after
from .._kernel.mount_overlay import MAX_LOWERDIRS
from .._kernel.mountinfo import Mount
from .._kernel.overlay_state import Layers, LiveOverlay
from . import plan as planner
from .mount_unit import Inexpressible, MountUnit, mount_unit, unit_name
from .operations import coming, going
from .records import MISSING, Desired, Directory, Observed, Ownership, live_state

#: Names that tell whether a directory will be empty: more than these never matter.
_ENTRIES_READ = 64
_MAX_ID = 2**32 - 2
#: What symbols in ``mode`` change: the mode of a new directory.
_NEW = 0o755


class Overlay(Resource[Desired, Observed]):
    """An overlay mount at a path."""

    name = "overlay_mount"

    def desired(self, params: Mapping[str, Any]) -> Desired:
        present = params["state"] == "present"
        upperdir, workdir = _path(params, "upperdir"), _path(params, "workdir")
        desired = Desired(
            path=_required_path("path", params["path"]),
            present=present,
            lowerdirs=tuple(_required_path("lowerdirs", text) for text in params["lowerdirs"] or ()),
            upperdir=upperdir,
            workdir=workdir,
            idmap=_idmap(params["idmap"]),
            options=_options(params),
            flags=frozenset(params["flags"]) if params["flags"] is not None else None,
            propagation=params["propagation"],
            create=params["create"],
            ownership=_ownership(params),
            cover=params["cover"],
            volatile_recover=params["volatile_recover"],
            systemd=params["systemd"],
            lazy=params["lazy"],
            purge=params["purge"],
        )
        _check(desired)
        return desired

    def locks(self, desired: Desired) -> tuple[str, ...]:
        # One for all: whether two overlays share an upper layer cannot be told from their names.
        return ("overlay",)

    def observe(self, desired: Desired, world: World) -> Observed:
        for option in ("path", "upperdir", "workdir") if desired.present else ():
            given = getattr(desired, option)
            if given is not None:
                refuse_ours(option, show_path(given), given)
        path = os.path.realpath(desired.path)
        layers = _resolved(desired)
        mounts = world.read(mountinfo.read_mountinfo)
        stack = overlay_state.stack_at(path, mounts)
        overlays = [overlay_state.live_overlay(m) for m in _overlays_of_ours(stack)]
        live = overlays[0] if overlays else None
        record = overlay_state.read_record(path)
        recorded = record.layers if record is not None else None
        record_path = overlay_state.record_path(path)
        unit, refusal = _unit(desired, path, layers)
        directories = _directories(path, stack, [layers, live.layers if live else None, recorded], world)
        return Observed(
            path=path,
            layers=layers,
            stack=stack,
            live=live,
            ours=len(overlays),
            covered=not overlays and any(map(_is_ours, stack)),
            above=_above(stack[: len(overlays)], mounts),
            recorded=recorded,
            record_path=record_path,
            record_exists=os.path.lexists(record_path),
            directories=directories,
            one_file_system=_on_one_file_system(live.layers if live else layers, directories, mounts),
            users=_users(path, layers, stack, mounts, world) if desired.present else (),
            volatile_leftover=_volatile_leftover(layers, live),
            defaults=overlay_state.module_defaults(),
            unit=unit,
            unit_refusal=refusal,
            unit_text=world.files.text(unit.path) if unit else None,
            unit_enabled=bool(unit and os.path.islink(unit.link)),
            systemd_runs=systemd.running(),
            granted_ids=world.read(subids.granted) if desired.present and desired.idmap else (),
        )

    def plan(self, desired: Desired, observed: Observed) -> Plan:
        plan = planner.plan(desired, observed)
        return dataclasses.replace(
            plan, warnings=(*plan.warnings, *taken_by_users("idmap", desired.idmap, observed.granted_ids))
        )

    def facts(self, desired: Desired, observed: Observed) -> dict[str, Any]:
        state = live_state(observed)
        if observed.live is not None:
            state["source"] = observed.live.mount.source.decode("utf-8", "replace")
        return {"overlay": {"mounted": observed.live is not None, **state}}


def _required_path(option: str, text: str) -> bytes:
    try:
        path = parse_path(text)
    except ValueError as error:
        raise OptionError(option, text, str(error)) from None
    if path == b"/" and option != "lowerdirs":
        raise OptionError(option, text, "cannot be the root directory")
    return path


def _path(params: Mapping[str, Any], option: str) -> bytes | None:
    return _required_path(option, params[option]) if params[option] is not None else None


def _idmap(value: Mapping[str, Any] | None) -> tuple[int, int] | None:
    if value is None:
        return None
    first, size = value["host_id"], value["size"]
    if first < 0 or size < 1 or first + size - 1 > _MAX_ID:
        raise OptionError("idmap", dict(value), f"host IDs run from 0 to {_MAX_ID}, and size is at least 1")
    return first, size


def _options(params: Mapping[str, Any]) -> dict[str, str]:
    """The overlay options that were given, in the kernel's words."""
    words = {name: params[name] for name in ("redirect_dir", "xino") if params[name] is not None}
    for name in ("metacopy", "index", "volatile", "userxattr", "nfs_export"):
        if params[name] is not None:
            words[name] = "on" if params[name] else "off"
    return words


def _ownership(params: Mapping[str, Any]) -> Ownership:
    uid = _id("owner", params["owner"], lambda name: pwd.getpwnam(name).pw_uid)
    gid = _id("group", params["group"], lambda name: grp.getgrnam(name).gr_gid)
    return Ownership(uid, gid, mode_after(parse_mode("mode", params["mode"]), _NEW, is_directory=True))


def _id(option: str, value: str, look_up: Any) -> int:
    if value.isascii() and value.isdecimal() and len(value) <= len(str(_MAX_ID)) and int(value) <= _MAX_ID:
        return int(value)
    try:
        return int(look_up(value))
    except (KeyError, ValueError):
        raise OptionError(option, value, "is not known on this host") from None


def _check(desired: Desired) -> None:
    """What can be said of the options alone."""
    options = desired.options
    if desired.purge and desired.lazy:
        raise OptionError("purge", True, "cannot be combined with lazy: processes may still use the files")
    if not desired.present:
        return
    if not 1 <= len(desired.lowerdirs) <= MAX_LOWERDIRS:
        raise OptionError("lowerdirs", len(desired.lowerdirs), f"overlayfs takes 1 to {MAX_LOWERDIRS} lower layers")
    if (desired.upperdir is None) != (desired.workdir is None):
        raise OptionError("workdir", None, "upperdir and workdir go together: give both or neither")
    read_only, redirect_dir = desired.upperdir is None, options.get("redirect_dir")
    # Without an upperdir following redirects is what redirect_dir=on means.
    redirects = redirect_dir in (None, "on") or (read_only and redirect_dir == "follow")
    conflicts = [
        ("volatile", read_only, "needs an upperdir: without one nothing is written"),
        ("index", read_only, "needs an upperdir, which holds what it indexes"),
        ("userxattr", options.get("metacopy") == "on", "cannot be combined with metacopy"),
        ("userxattr", redirect_dir not in (None, "nofollow"), "cannot be combined with redirect_dir but nofollow"),
        ("nfs_export", options.get("metacopy") == "on", "cannot be combined with metacopy"),
        ("nfs_export", options.get("index") == "off", "needs index"),
        ("nfs_export", read_only and redirect_dir != "nofollow", "needs redirect_dir=nofollow where upperdir is unset"),
        ("metacopy", not redirects, "needs redirect_dir=on, or no redirect_dir"),
    ]
    for option, clash, message in conflicts:
        if clash and options.get(option) == "on":
            raise OptionError(option, True, message)
    if desired.systemd and options.get("volatile") == "on":
        raise OptionError("systemd", True, "cannot be combined with volatile: its mark would stop the mount at boot")


def _resolved(desired: Desired) -> Layers:
    """The declared layers with every symlink resolved: the kernel would otherwise keep what a link once led to."""
    upper, work = desired.upperdir, desired.workdir
    return Layers(
        tuple(os.path.realpath(path) for path in desired.lowerdirs),
        os.path.realpath(upper) if upper is not None else None,
        os.path.realpath(work) if work is not None else None,
        desired.idmap,
    )


def _is_ours(mounted: Mount) -> bool:
    return mounted.fstype == "overlay" and mounted.source.startswith(overlay_state.SOURCE_PREFIX.encode())


def _overlays_of_ours(stack: tuple[Mount, ...]) -> list[Mount]:
    """The topmost mounts of a stack, as long as they are ours."""
    ours = []
    for each in stack:
        if not _is_ours(each):
            break
        ours.append(each)
    return ours


def _on_one_file_system(layers: Layers, directories: Mapping[bytes, Directory], mounts: tuple[Mount, ...]) -> bool:
    ids = (directories[path].mount_id for path in (*layers.lowerdirs, layers.upperdir) if path is not None)
    return overlay_state.on_one_file_system(layers, ids, mounts)


def _above(ours: tuple[Mount, ...], mounts: tuple[Mount, ...]) -> Mount | None:
    """The mount on which the lowest of a stack is mounted."""
    parent = ours[-1].parent_id if ours else None
    return next((each for each in mounts if each.mount_id == parent), None)


def _users(
    path: bytes, layers: Layers, stack: tuple[Mount, ...], mounts: tuple[Mount, ...], world: World
) -> tuple[str, ...]:
    """Other overlays on the same upper layer; those that this plan replaces or plans before it unmount do not count."""
    others = {mount_point: other for mount_point, other in coming(world).items() if mount_point != path}
    users = [
        show_path(mount_point) for mount_point, other in others.items() if set(other.written) & set(layers.written)
    ]
    identities = {identity for identity in map(overlay_state.identity_of, layers.written) if identity is not None}
    if identities:
        gone = [mount for mount in mounts if mount.target in going(world)]
        users += overlay_state.users_of(identities, frozenset(m.device for m in (*_overlays_of_ours(stack), *gone)))
    return tuple(users)


def _volatile_leftover(layers: Layers, live: LiveOverlay | None) -> bool:
    """Whether workdir bears the mark of a volatile overlay that is not the one running here."""
    if layers.workdir is None or (live is not None and live.layers.workdir == layers.workdir):
        return False
    return os.path.isdir(overlay_state.volatile_marker(layers.workdir))


def _unit(desired: Desired, path: bytes, layers: Layers) -> tuple[MountUnit | None, str]:
    """The unit as it should be, or one without text where none can express what is declared, and why."""
    refusal = "it cannot map IDs" if layers.idmap else ""
    propagation = (desired.propagation,) if desired.propagation else ()
    options = (*desired.mount_options, *sorted(desired.flags or ()), *propagation)
    try:
        unit = mount_unit(path, layers.source(), layers.lowerdirs, layers.upperdir, layers.workdir, options)
    except Inexpressible as error:
        name = unit_name(path)
        return (MountUnit(name, "") if len(name) <= 255 else None), refusal or str(error)
    return unit, refusal


def _directories(
    path: bytes, stack: tuple[Mount, ...], layers: list[Layers | None], world: World
) -> dict[bytes, Directory]:
    """Every directory that the plan may look at: the layers, the mount point (below the mount) and those above."""
    found: dict[bytes, Directory] = {}
    writable = [p for each in layers if each for p in each.written]
    lower = [p for each in layers if each for p in each.lowerdirs]
    for each in lower:
        found[each] = _lower_layer(each, world)
    for each in writable:
        found[each] = _expected(each, world)
    found[path] = _covered_directory(path) if stack else _expected(path, world)
    for each in [path, *writable]:
        for parent in ancestors(each):
            found.setdefault(parent, _expected(parent, world))
    found.setdefault(b"/", _directory(b"/"))
    return found


def _lower_layer(path: bytes, world: World) -> Directory:
    """One that lies in what is yet to be mounted is taken to be there: nobody can look at it yet."""
    found = _expected(path, world)
    return found if found.exists or not world.files.will_be_mounted(os.fsdecode(path)) else Directory(True, True)


def _expected(path: bytes, world: World) -> Directory:
    """A directory as the plans before this one leave it."""
    name = os.fsdecode(path)
    if world.files.will_be_gone(name):
        return MISSING
    found = _directory(path)
    if not found.exists and world.files.is_directory(name):
        # It will be in the mount of the nearest directory that is there.
        above = next((each for each in map(_directory, ancestors(path)) if each.exists), _directory(b"/"))
        found = Directory(exists=True, is_directory=True, mount_id=above.mount_id)
    changed = world.files.changed_names(name)
    gone = {os.fsencode(each) for each, there in changed.items() if not there}
    come = {os.fsencode(each) for each, there in changed.items() if there}
    return dataclasses.replace(found, entries=(found.entries - gone) | come) if changed and found.marked else found


def _covered_directory(path: bytes) -> Directory:
    """A mount point as it is below its mounts: seen through a detached copy of the mount that it is in."""
    try:
        tree = mount.open_tree(mount.AT_FDCWD, os.path.dirname(path))
    except KernelError:
        return Directory(exists=True, is_directory=True)
    try:
        return _directory(os.path.basename(path), tree)
    finally:
        os.close(tree)


def _directory(path: bytes, dir_fd: int | None = None) -> Directory:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError:
        return MISSING
    try:
        status = os.fstat(fd)
        identity = status.st_dev, status.st_ino
        if not os.path.isdir(f"/proc/self/fd/{fd}"):
            return Directory(exists=True, identity=identity, mount_id=mount.mount_id(fd))
        marked = files.mark_of(f"/proc/self/fd/{fd}") is not None
        entries = _entries(f"/proc/self/fd/{fd}") if marked else frozenset()
        return Directory(True, True, marked, entries, identity, mount.mount_id(fd))
    finally:
        os.close(fd)


def _entries(path: str) -> frozenset[bytes]:
    names = set()
    with os.scandir(os.fsencode(path)) as scan:
        for entry in scan:
            names.add(entry.name)
            if len(names) == _ENTRIES_READ:
                break
    return frozenset(names)
