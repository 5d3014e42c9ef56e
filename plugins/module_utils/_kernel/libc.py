# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The C library through ctypes: one door for every system call Python does not wrap."""

from __future__ import annotations

import ctypes
import os

from .errors import KernelError

# PyDLL keeps the GIL: a fork-like call must not return into another thread's interpreter state.
# None of the calls made through here block for long.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# Numbers >= 424 are the same on every architecture (the kernel's unified syscall table).
NR_pidfd_send_signal = 424
NR_open_tree = 428
NR_move_mount = 429
NR_fsopen = 430
NR_fsconfig = 431
NR_fsmount = 432
NR_fspick = 433
NR_pidfd_open = 434
NR_clone3 = 435
NR_close_range = 436
NR_openat2 = 437
NR_mount_setattr = 442
AT_FDCWD = -100
RENAME_EXCHANGE = 2
_PER_MACHINE = {
    "x86_64": {
        "clone": 56,
        "pivot_root": 155,
        "setns": 308,
        "seccomp": 317,
        "keyctl": 250,
        "rt_sigaction": 13,
        "renameat2": 316,
        "bpf": 321,
    },
    "aarch64": {
        "clone": 220,
        "pivot_root": 41,
        "setns": 268,
        "seccomp": 277,
        "keyctl": 219,
        "rt_sigaction": 134,
        "renameat2": 276,
        "bpf": 280,
    },
}


_ENOSYS = 38
#: Since when Linux has what is younger than the oldest kernels around, syscalls(2).
_SINCE = {
    **dict.fromkeys(("fsopen", "fsconfig", "fsmount", "move_mount", "open_tree"), "5.2"),
    "pidfd_send_signal": "5.1",
    "clone3": "5.3",
    "pidfd_open": "5.3",
    "openat2": "5.6",
    "pidfd_getfd": "5.6",
    "close_range": "5.9",
    "mount_setattr": "5.12",
}


def number(name: str) -> int:
    """The number of a system call that differs between machines.

    Raises KernelError(ENOSYS) on a machine whose table is not known.
    """
    try:
        return _PER_MACHINE[os.uname().machine][name]
    except KeyError:
        raise KernelError(_ENOSYS, name, hint=f"machine {os.uname().machine} is not supported") from None


def syscall(name: str, nr: int, *args: object, path: str | bytes | None = None, hint: str = "") -> int:
    """syscall(2): returns the kernel's answer, raises KernelError(name, path) on -1.

    bytes are passed as char pointers, integers as longs, None as NULL and ctypes objects as they are.
    """
    result = int(_libc.syscall(ctypes.c_long(nr), *(_argument(a) for a in args)))
    if result == -1:
        refused = ctypes.get_errno()
        raise KernelError(refused, name, path, hint or (_too_old(name) if refused == _ENOSYS else ""))
    return result


def _too_old(name: str) -> str:
    since = f" Linux {_SINCE[name]} or later" if name in _SINCE else " a later Linux"
    return f"This kernel ({os.uname().release}) is too old for it, or a filter denies it: use{since}"


def call(name: str, *args: object, path: str | bytes | None = None, hint: str = "") -> int:
    """A libc function of that name that returns -1 and sets errno on failure."""
    function = getattr(_libc, name)
    function.restype = ctypes.c_long
    result = int(function(*(_argument(a) for a in args)))
    # An int-returning function leaves the upper half of the register undefined.
    if ctypes.c_int(result).value == -1:
        raise KernelError(ctypes.get_errno(), name, path, hint)
    return ctypes.c_int(result).value


def _argument(value: object) -> object:
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, int):
        return ctypes.c_long(value)
    if isinstance(value, bytes):
        return ctypes.c_char_p(value)
    return value
