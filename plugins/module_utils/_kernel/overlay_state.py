# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Live overlays: what mountinfo says, and what a record of ours adds where mountinfo cannot say it.

Of an ID-mapped layer, or of one with a very long path on an older kernel, mountinfo shows a name that means nothing
to anybody else. Such a mount is known by its source, which ends with a digest of its layers; a record in /run spells
them out, with the options that were asked for. A record counts only while a mount bears its digest, so an old one can
never mislead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import files, libc, locations, mount, overlay_options, record_file
from .errors import KernelError
from .mountinfo import Mount, read_mountinfo

#: Sources of the overlays that overlay_mount makes.
SOURCE_PREFIX = locations.MARK + ":overlay:"
#: Options that a kernel shows only when they differ from a parameter of its module: option, parameter.
_PARAMETERS = {"metacopy": "metacopy", "index": "index", "nfs_export": "nfs_export"}


@dataclass(frozen=True)
class Layers:
    """What an overlay is made of: real paths, topmost lower layer first, and (host_id, size) of its ID map."""

    lowerdirs: tuple[bytes, ...]
    upperdir: bytes | None = None
    workdir: bytes | None = None
    idmap: tuple[int, int] | None = None

    @property
    def written(self) -> tuple[bytes, ...]:
        """upperdir and workdir, where there are any: no two overlays may share them."""
        return tuple(path for path in (self.upperdir, self.workdir) if path is not None)

    def source(self) -> str:
        """The mount source that marks an overlay of these layers as ours."""
        return SOURCE_PREFIX + hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()[:20]

    def plain(self) -> dict[str, object]:
        """As JSON can hold it (bytes that are not UTF-8 as surrogates)."""
        return {
            "lowerdirs": [os.fsdecode(path) for path in self.lowerdirs],
            "upperdir": os.fsdecode(self.upperdir) if self.upperdir is not None else None,
            "workdir": os.fsdecode(self.workdir) if self.workdir is not None else None,
            "idmap": list(self.idmap) if self.idmap else None,
        }


@dataclass(frozen=True)
class Record:
    """What is written down of a mount: its layers, and the options that were asked of the kernel."""

    layers: Layers
    options: Mapping[str, str]


@dataclass(frozen=True)
class LiveOverlay:
    """A mounted overlay. ``layers`` are those of its record where there is one, else as mountinfo shows them."""

    mount: Mount
    layers: Layers
    recorded: bool
    options: tuple[tuple[str, str | None], ...]
    #: The options on record.
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        return self.mount.source.startswith(SOURCE_PREFIX.encode())


@dataclass(frozen=True)
class Defaults:
    """What this kernel's overlay module does where an option is not given (its parameters in /sys/module)."""

    metacopy: str = "off"
    index: str = "off"
    nfs_export: str = "off"
    redirect_dir: str = "off"
    xino: str = "off"
    #: What redirect_dir=off means.
    off_means: str = "follow"


def record_path(target: bytes) -> str:
    """Where the record of the overlay mounted at that path is."""
    return f"{locations.RUN}/overlay-{hashlib.sha256(target).hexdigest()[:32]}.json"


def read_record(target: bytes) -> Record | None:
    """What is on record for that path, None where there is no (readable) record.

    Raises KernelError (EBADMSG) for one of a newer version.
    """
    path = record_path(target)
    try:
        plain: Any = files.read_json(path)
    except KernelError:
        return None
    if isinstance(plain, dict):
        record_file.check(path, plain)
    try:
        upper, work = (os.fsencode(plain[key]) if plain[key] is not None else None for key in ("upperdir", "workdir"))
        idmap = (plain["idmap"][0], plain["idmap"][1]) if plain["idmap"] else None
        layers = Layers(tuple(os.fsencode(path) for path in plain["lowerdirs"]), upper, work, idmap)
        return Record(layers, dict(plain.get("options", {})))
    except (TypeError, KeyError, ValueError):
        return None


def live_overlay(mounted: Mount) -> LiveOverlay:
    """What is known of a mounted overlay."""
    shown = overlay_options.parse(mounted.options)
    record = read_record(mounted.target) if mounted.source.startswith(SOURCE_PREFIX.encode()) else None
    options = tuple((key, value or None) for key, _sep, value in (option.partition("=") for option in shown.options))
    if record is not None and record.layers.source().encode() == mounted.source:
        return LiveOverlay(mounted, record.layers, True, options, record.options)
    upper, work = (_likeliest(value) for value in (shown.upperdir, shown.workdir))
    lower = shown.lowerdirs
    if upper is None and len(lower) == 2 and lower[1] in (b"/", b"empty"):
        lower = lower[:1]  # the empty layer that joins a single one: mount_overlay.Request.needs_empty_layer
    return LiveOverlay(mounted, Layers(lower, upper, work), False, options)


def _likeliest(value: bytes | None) -> bytes | None:
    """The reading of a shown directory that exists, the plain one where none does."""
    if value is None:
        return None
    readings = overlay_options.readings(value)
    return next((path for path in readings if os.path.isdir(path)), readings[-1])


def overlays_everywhere() -> Iterator[LiveOverlay]:
    """Every overlay of every mount namespace that a process is in, those of our own first."""
    seen = set()
    for pid in ["self", *sorted(entry for entry in os.listdir("/proc") if entry.isdigit())]:
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
            if namespace in seen:
                continue
            mounts = read_mountinfo(pid)
            seen.add(namespace)
            yield from (live_overlay(m) for m in mounts if m.fstype == "overlay")


def users_of(identities: set[tuple[int, int]], besides: frozenset[str]) -> tuple[str, ...]:
    """Where overlays are mounted whose upperdir or workdir is one of these (device, inode), whatever its path says.

    ``besides`` are the devices of the overlays that do not count.
    """
    found = {}
    for overlay in overlays_everywhere():
        if overlay.mount.device in besides or overlay.mount.device in found:
            continue
        if any(identity_of(path) in identities for path in _writable(overlay)):
            found[overlay.mount.device] = f"{os.fsdecode(overlay.mount.target)} ({os.fsdecode(overlay.mount.source)})"
    return tuple(found.values())


def _writable(overlay: LiveOverlay) -> Iterator[bytes]:
    """Every path that its upperdir and workdir may have. A link to a descriptor led somewhere in another process."""
    shown = overlay_options.parse(overlay.mount.options)
    for value in (shown.upperdir, shown.workdir):
        for path in overlay_options.readings(value) if value is not None else ():
            if path.startswith(b"/") and not path.startswith(b"/proc/self/fd/"):
                yield path
    yield from overlay.layers.written


def identity_of(path: bytes) -> tuple[int, int] | None:
    """(device, inode) of what a path names, None where there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def stack_at(path: bytes, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """The mounts stacked at exactly that real path as it is seen now, topmost first."""
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        by_id = {m.mount_id: m for m in mounts}
        found = by_id.get(mount.mount_id(fd))
    finally:
        os.close(fd)
    stack = []
    while found is not None and found.target == path:
        stack.append(found)
        found = by_id.get(found.parent_id)
    return tuple(stack)


def module_defaults() -> Defaults:
    """Read from the module's parameters; a kernel that does not show one has it at its own default."""

    def parameter(name: str, otherwise: str) -> bool:
        value = files.read_text(f"/sys/module/overlay/parameters/{name}")
        return (value if value is not None else otherwise).strip() == "Y"

    on_off = {key: "on" if parameter(name, "N") else "off" for key, name in _PARAMETERS.items()}
    follow = "follow" if parameter("redirect_always_follow", "Y") else "nofollow"
    redirect_dir = "on" if parameter("redirect_dir", "N") else "off"
    xino = "auto" if parameter("xino_auto", "N") else "off"
    return Defaults(**on_off, redirect_dir=redirect_dir, xino=xino, off_means=follow)


def on_one_file_system(layers: Layers, mount_ids: Iterable[int | None], mounts: tuple[Mount, ...]) -> bool:
    """Whether the kernel counts one file system only, given the mounts that lower layers and upperdir are in.

    True also where a mount is not known, as then nothing can be said.
    """
    if layers.upperdir is None and len(layers.lowerdirs) == 1:
        return False  # the empty layer that joins it is a file system of its own
    devices = {each.mount_id: each.device for each in mounts}
    found = {devices.get(mount_id) if mount_id is not None else None for mount_id in mount_ids}
    return len(found) == 1 or None in found


def volatile_marker(workdir: bytes) -> bytes:
    """The directory with which a volatile overlay marks its workdir."""
    return os.path.join(workdir, b"work/incompat/volatile")


def clear_volatile(upperdir: bytes, workdir: bytes) -> None:
    """Write the upper layer's file system out, then take the mark of a volatile overlay off. Raises KernelError."""
    fd = os.open(upperdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc.call("syncfs", fd, path=upperdir)
    finally:
        os.close(fd)
    marker = volatile_marker(workdir)
    files.remove_tree(marker)  # it holds "dirty" while mounted, and afterwards on some kernels
    files.remove_directory(os.path.dirname(marker))
