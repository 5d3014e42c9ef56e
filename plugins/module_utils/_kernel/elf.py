# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the headers of a program say of where it runs: elf(5)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

#: How much of a file holds its headers, of any program that a linker made.
HEAD = 4096
#: e_machine of elf.h that a machine runs: its own and, where the kernel is built so, its 32-bit one.
_MACHINES = {"x86_64": (62, 3), "aarch64": (183, 40)}
_NAMES = {3: "i386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64"}
_NAMES.update({243: "riscv", 258: "loongarch64"})
_PT_INTERP = 3


def is_elf(head: bytes) -> bool:
    """Whether a file that begins so is an ELF file."""
    return head.startswith(b"\x7fELF")


def other_machine(head: bytes) -> str:
    """The name of the machine that an ELF file is for, empty where this one runs it or where that cannot be told."""
    if len(head) < 52 or head[5] not in (1, 2):
        return ""
    [machine] = struct.unpack_from(f"{_order(head)}H", head, 18)
    known = _MACHINES.get(os.uname().machine)
    return "" if known is None or machine in known else _NAMES.get(machine, f"machine {machine}")


def loader(head: bytes) -> str:
    """The path of the loader (PT_INTERP); empty for a static program, and where it is not in ``head``."""
    try:
        for start, length in _loaders(head):
            text = head[start : start + length]
            return os.fsdecode(text.rstrip(b"\0")) if len(text) == length else ""
    except struct.error:
        pass
    return ""


def is_static(head: bytes) -> bool:
    """Whether it is a program that needs no loader, for sure."""
    try:
        return is_elf(head) and not list(_loaders(head))
    except struct.error:
        return False


def _order(head: bytes) -> str:
    return "<" if head[5] == 1 else ">"


def _loaders(head: bytes) -> Iterator[tuple[int, int]]:
    """Offset and length of each loader's name. Raises struct.error where ``head`` ends before its program headers."""
    if len(head) < 52 or head[5] not in (1, 2):
        raise struct.error("no ELF header")
    order, wide = _order(head), head[4] == 2
    word, at_start, at_length = ("Q", 8, 32) if wide else ("I", 4, 16)
    [table] = struct.unpack_from(order + word, head, 32 if wide else 28)
    size, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
    for number in range(count):
        at = table + number * size
        if struct.unpack_from(f"{order}I", head, at)[0] == _PT_INTERP:
            [start] = struct.unpack_from(order + word, head, at + at_start)
            [length] = struct.unpack_from(order + word, head, at + at_length)
            yield start, length
