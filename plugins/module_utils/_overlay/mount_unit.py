# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd mount unit that brings an overlay back at boot, systemd.mount(5)."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass

from .._core.paths import show_path
from .._kernel import overlay_options
from .._kernel.mount import MOUNT_DATA_MAX
from .._kernel.unit_files import requires_mounts_for, specifiers

DIRECTORY = "/etc/systemd/system"
#: The first line of each unit of ours.
MARK = "# Written by barekernel.containers.overlay_mount, which replaces it; changes here are lost."
_PLAIN = (string.ascii_letters + string.digits + ":_.").encode()
_UNIT_NAME_MAX = 255


class Inexpressible(ValueError):
    """What a mount unit cannot say, in words."""


@dataclass(frozen=True)
class MountUnit:
    """A unit file: its name and its text."""

    name: str
    text: str

    @property
    def path(self) -> str:
        return f"{DIRECTORY}/{self.name}"

    @property
    def link(self) -> str:
        """What `systemctl enable` makes."""
        return f"{DIRECTORY}/local-fs.target.wants/{self.name}"


def unit_name(path: bytes) -> str:
    """The name that systemd demands of the mount unit for a path, systemd-escape(1) --path."""
    escaped = []
    for position, byte in enumerate(path.strip(b"/")):
        if byte == ord("/"):
            escaped.append("-")
        elif byte not in _PLAIN or (byte == ord(".") and position == 0):
            escaped.append(f"\\x{byte:02x}")
        else:
            escaped.append(chr(byte))
    return "".join(escaped) + ".mount"


def mount_unit(
    path: bytes,
    source: str,
    lowerdirs: tuple[bytes, ...],
    upperdir: bytes | None,
    workdir: bytes | None,
    options: tuple[str, ...],
) -> MountUnit:
    """The unit. ``options`` are overlay options and mount(8)'s own (ro, nosuid, private). Raises Inexpressible.

    A unit mounts by mount(8) with one string of options, so it is refused where that string would not arrive whole.
    """
    layers = [p for p in (*lowerdirs, upperdir, workdir) if p is not None]
    for each in (path, *layers):
        _expressible(each)
    name = unit_name(path)
    if len(name) > _UNIT_NAME_MAX:
        raise Inexpressible(f"the unit's name would have {len(name)} bytes, and systemd takes {_UNIT_NAME_MAX}")
    if upperdir is None and len(lowerdirs) == 1:
        raise Inexpressible("mount(8) cannot mount a single lowerdir without an upperdir")
    data = overlay_options.join(lowerdirs, upperdir, workdir, options)
    if len(data) > MOUNT_DATA_MAX:
        raise Inexpressible(f"its options would have {len(data)} bytes, and mount(2) reads {MOUNT_DATA_MAX}")
    lines = [
        MARK,
        "[Unit]",
        f"Description=Overlay on {specifiers(show_path(path))}",
        "Documentation=https://docs.kernel.org/filesystems/overlayfs.html",
        *requires_mounts_for(show_path(layer) for layer in layers),
        "",
        "[Mount]",
        f"What={source}",
        f"Where={specifiers(show_path(path))}",
        "Type=overlay",
        f"Options={specifiers(os.fsdecode(data))}",
        "# Newer versions of mount(8) would pass each option by fsconfig(2), which takes 255 bytes.",
        "Environment=LIBMOUNT_FORCE_MOUNT2=always",
        "",
        "[Install]",
        "WantedBy=local-fs.target",
        "",
    ]
    return MountUnit(name, "\n".join(lines))


def _expressible(path: bytes) -> None:
    shown = show_path(path)
    if shown.startswith("file:"):
        raise Inexpressible(f"{shown} is not UTF-8, which systemd asks of units")
    if any(ord(character) < 32 or ord(character) == 127 for character in shown):
        raise Inexpressible(f"{shown!r} holds a control character")
    if '"' in shown:
        raise Inexpressible(f"{shown} holds a double quote, which mount(8) takes for itself")
    if shown != shown.strip() or shown.endswith("\\"):
        raise Inexpressible(f"{shown!r} ends with what systemd strips from the end of a line")
