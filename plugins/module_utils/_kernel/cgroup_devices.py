# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which devices the processes of a cgroup may open or make: a BPF program, as cgroup v2 has no device controller.

cgroup-v2.rst (Device controller), bpf(2), the kernel's Documentation/bpf/standardization/instruction-set.rst.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

from . import libc

#: Kinds and accesses as linux/bpf.h counts them (BPF_DEVCG_DEV_*, BPF_DEVCG_ACC_*).
BLOCK, CHARACTER = 1, 2
MAKE, READ, WRITE = 1, 2, 4
EVERYTHING = MAKE | READ | WRITE
#: What bpftool(8) shows of it.
_NAME = b"bk_devices"

_PROG_LOAD, _PROG_ATTACH = 5, 8
_TYPE_CGROUP_DEVICE, _CGROUP_DEVICE, _ALLOW_MULTI = 15, 6, 2

#: Opcodes: class, width and source of linux/bpf.h and linux/bpf_common.h put together.
_LOAD_WORD, _AND, _SHIFT_RIGHT, _MOVE, _JUMP_UNLESS_EQUAL, _JUMP_IF_ANY, _JUMP, _EXIT = (
    *(0x61, 0x57, 0x77, 0xB7, 0x55),
    *(0x45, 0x05, 0x95),
)
#: Registers: the answer; the context; what is looked at.
_ANSWER, _CONTEXT, _KIND, _ACCESS, _MAJOR, _MINOR = 0, 1, 2, 3, 4, 5


class Rule(NamedTuple):
    """Allow or deny these accesses (a bit set) to devices of a kind and number; None stands for any."""

    allow: bool
    kind: int | None
    major: int | None
    minor: int | None
    access: int


def program(rules: Sequence[Rule]) -> bytes:
    """The instructions. Of the rules about a device and an access the last one decides; without one it is denied. Pure.

    They are looked at from the last one back: an allowing rule takes its accesses off those that are still asked for.
    """
    code = [
        _instruction(_LOAD_WORD, _KIND, _CONTEXT, 0),
        _instruction(_AND, _KIND, value=0xFFFF),
        _instruction(_LOAD_WORD, _ACCESS, _CONTEXT, 0),
        _instruction(_SHIFT_RIGHT, _ACCESS, value=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
        # Whether it is there may be asked (access(2), F_OK).
        *_unless(_ACCESS, 0, _answer(1)),
    ]
    for rule in reversed(rules):
        code += _of_rule(rule)
    return b"".join([*code, *_answer(0)])


def _of_rule(rule: Rule) -> list[bytes]:
    if rule.allow:
        decide = [_instruction(_AND, _ACCESS, value=EVERYTHING & ~rule.access), *_unless(_ACCESS, 0, _answer(1))]
    else:
        denied = _answer(0)
        decide = [
            _instruction(_JUMP_IF_ANY, _ACCESS, offset=1, value=rule.access),
            _instruction(_JUMP, offset=len(denied)),
            *denied,
        ]
    for register, wanted in ((_MINOR, rule.minor), (_MAJOR, rule.major), (_KIND, rule.kind)):
        if wanted is not None:
            decide = _unless(register, wanted, decide)
    return decide


def _unless(register: int, value: int, code: list[bytes]) -> list[bytes]:
    """The code, jumped over unless the register has that value."""
    return [_instruction(_JUMP_UNLESS_EQUAL, register, offset=len(code), value=value), *code]


def _answer(allowed: int) -> list[bytes]:
    return [_instruction(_MOVE, _ANSWER, value=allowed), _instruction(_EXIT)]


def _instruction(opcode: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", opcode, source << 4 | target, offset, value)


def restrict(cgroup: str, code: bytes) -> None:
    """Have the program decide for that cgroup, along with those of the cgroups above; it goes with the cgroup.

    Raises KernelError: EPERM without CAP_BPF or CAP_SYS_ADMIN in the host's user namespace; ENOSYS or EINVAL on a
    kernel without bpf(2) or CONFIG_CGROUP_BPF.
    """
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        program_fd = _load(code)
        try:
            _bpf(_PROG_ATTACH, struct.pack("=IIII", directory, program_fd, _CGROUP_DEVICE, _ALLOW_MULTI), cgroup)
        finally:
            os.close(program_fd)
    finally:
        os.close(directory)


def _load(code: bytes) -> int:
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII16s",
        *(_TYPE_CGROUP_DEVICE, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(licence)),
        *(0, 0, 0, 0, 0, _NAME),
    )
    fd = _bpf(_PROG_LOAD, attributes)
    os.set_inheritable(fd, False)
    return fd


def _bpf(command: int, attributes: bytes, path: str | None = None) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    hint = "Device rules need a kernel with CONFIG_CGROUP_BPF, and the host's root"
    return libc.syscall("bpf", libc.number("bpf"), command, buffer, len(buffer), path=path, hint=hint)
