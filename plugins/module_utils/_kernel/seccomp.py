# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""seccomp(2) and libseccomp (seccomp_init(3), seccomp_rule_add(3), seccomp_export_bpf(3)) through ctypes."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Sequence

from . import libc
from .errors import KernelError

SECCOMP_SET_MODE_FILTER = 1
#: Flags of seccomp(2) by the names of the OCI runtime-spec.
FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": 1, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4}

KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x80000000, 0x00000000, 0x00030000, 0x00050000
TRACE, LOG, ALLOW = 0x7FF00000, 0x7FFC0000, 0x7FFF0000
#: Actions by the names of seccomp_rule_add(3); ERRNO and TRACE carry a number in their lower 16 bits.
ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_ALLOW": ALLOW,
}
COMPARISONS = ("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT")
#: Numbers of enum scmp_compare, which begins at 1.
OPERATORS = {name: number for number, name in enumerate((*COMPARISONS, "SCMP_CMP_MASKED_EQ"), 1)}
_ATTR_OPTIMIZE = 8
_UNKNOWN_SYSCALL = -1


class Argument(ctypes.Structure):
    """struct scmp_arg_cmp: argument ``arg`` compared by ``op`` with ``a`` (and ``b`` for MASKED_EQ: mask, value)."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


class Filter:
    """A filter being built with libseccomp. Raises KernelError named after the library's function."""

    def __init__(self, default_action: int) -> None:
        self._lib = _library()
        self._context = ctypes.c_void_p(self._lib.seccomp_init(default_action))
        if not self._context:
            raise KernelError(errno.EINVAL, "seccomp_init", hint=f"default action {default_action:#x}")
        # A binary tree instead of a list; libseccomp before 2.5 does not know it, and the filter is right without.
        self._lib.seccomp_attr_set(self._context, _ATTR_OPTIMIZE, 2)

    def add_architecture(self, name: str) -> None:
        """``name`` as seccomp_arch_resolve_name(3) knows it, e.g. x86_64 or x32."""
        token = self._lib.seccomp_arch_resolve_name(name.encode())
        if not token:
            raise KernelError(errno.EINVAL, "seccomp_arch_resolve_name", name, "libseccomp does not know it")
        result = self._lib.seccomp_arch_add(self._context, token)
        if result not in (0, -errno.EEXIST):
            raise KernelError(-result, "seccomp_arch_add", name)

    def add(self, syscall: str, action: int, arguments: Sequence[Argument] = ()) -> bool:
        """One rule; False where libseccomp does not know the call (then the default action holds for it)."""
        number = self._lib.seccomp_syscall_resolve_name(syscall.encode())
        if number == _UNKNOWN_SYSCALL:
            return False
        array = (Argument * len(arguments))(*arguments)
        result = self._lib.seccomp_rule_add_array(self._context, action, number, len(arguments), array)
        if result:
            raise KernelError(-result, "seccomp_rule_add", syscall)
        return True

    def export(self) -> bytes:
        """The program for install()."""
        fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        try:
            result = self._lib.seccomp_export_bpf(self._context, fd)
            if result:
                raise KernelError(-result, "seccomp_export_bpf")
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)

    def release(self) -> None:
        """Give the library's memory back."""
        self._lib.seccomp_release(self._context)


def library_version() -> str:
    """libseccomp's version: a compiled program is kept under it. Raises KernelError(ENOENT) where there is none."""
    version = ctypes.cast(_library().seccomp_version(), ctypes.POINTER(ctypes.c_uint))
    return f"{version[0]}.{version[1]}.{version[2]}"


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        hint = "Install the distribution's libseccomp (libseccomp2 on Debian)"
        raise KernelError(errno.ENOENT, "dlopen", "libseccomp.so.2", hint) from None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_version.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    ]
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    return library


def install(program: bytes, flags: int = 0) -> None:
    """seccomp(2): load a compiled program for the calling process and its children, for ever.

    Needs no_new_privs or CAP_SYS_ADMIN. Raises KernelError.
    """
    fprog = _Program(len(program) // 8, program)
    libc.syscall(
        "seccomp", libc.number("seccomp"), SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(fprog), hint="Filter refused"
    )
