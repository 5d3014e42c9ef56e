# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overlay options as text: the string that mount(2) takes, and what mountinfo shows of a live overlay.

https://docs.kernel.org/filesystems/overlayfs.html#permission-model and the parsers in fs/overlayfs/params.c: a
backslash takes the meaning off the next byte, ``:`` separates lower layers, ``,`` separates options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OverlayOptions:
    """A live overlay's directories, as the kernel names them, and its other options in the kernel's order."""

    lowerdirs: tuple[bytes, ...]
    upperdir: bytes | None
    workdir: bytes | None
    options: tuple[str, ...]


def escape_lower(path: bytes) -> bytes:
    r"""One path for the ``lowerdir`` list of mount(2): ``\``, ``,`` and ``:`` get a backslash."""
    return escape(path).replace(b":", b"\\:")


def escape(path: bytes) -> bytes:
    r"""A path for ``upperdir`` and ``workdir`` of mount(2): ``\`` and ``,`` get a backslash."""
    return path.replace(b"\\", b"\\\\").replace(b",", b"\\,")


def join(lowerdirs: Sequence[bytes], upperdir: bytes | None, workdir: bytes | None, options: Sequence[str]) -> bytes:
    """The option string for mount(2)."""
    parts = [b"lowerdir=" + b":".join(escape_lower(path) for path in lowerdirs)]
    if upperdir is not None and workdir is not None:
        parts += [b"upperdir=" + escape(upperdir), b"workdir=" + escape(workdir)]
    return b",".join(parts + [option.encode() for option in options])


def split_lower(value: bytes) -> tuple[bytes, ...]:
    """The paths of a ``lowerdir`` list; the double colon that begins data-only layers counts as one separator."""
    paths, current, escaped = [], bytearray(), False
    for byte in value:
        char = bytes([byte])
        if escaped:
            current += char
            escaped = False
        elif char == b"\\":
            escaped = True
        elif char == b":":
            paths.append(bytes(current))
            current.clear()
        else:
            current += char
    paths.append(bytes(current))
    return tuple(path for path in paths if path)


def readings(value: bytes) -> tuple[bytes, ...]:
    r"""What a shown ``upperdir`` or ``workdir`` may be: as it is, or with the backslashes taken off.

    Kernels show it as it was given: escaped when it came through mount(2), raw when it came through fsconfig(2).
    """
    parts = value.split(b"\\\\")
    return tuple(dict.fromkeys((value, b"\\".join(part.replace(b"\\", b"") for part in parts))))


def parse(options: Sequence[bytes]) -> OverlayOptions:
    """The super options of mountinfo (its octal escapes undone); for upperdir and workdir see readings()."""
    lowerdirs: list[bytes] = []
    directories: dict[bytes, bytes] = {}
    others = []
    for option in options:
        key, _separator, value = option.partition(b"=")
        if key == b"lowerdir":
            lowerdirs += split_lower(value)
        elif key in (b"lowerdir+", b"datadir+"):
            lowerdirs.append(value)
        elif key in (b"upperdir", b"workdir"):
            directories[key] = value
        elif option:
            others.append(option.decode("utf-8", "replace"))
    upper, work = directories.get(b"upperdir"), directories.get(b"workdir")
    return OverlayOptions(tuple(lowerdirs), upper, work, tuple(others))
