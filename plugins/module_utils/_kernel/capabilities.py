# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Capabilities of the calling process. capabilities(7), capset(2), prctl(2)."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Collection

from . import libc
from .errors import KernelError

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
#: Every capability's number by its name, as linux/capability.h counts them.
NUMBERS = {f"CAP_{name}": number for number, name in enumerate(_NAMES.split())}
#: The five sets, as the OCI runtime-spec and /proc/PID/status order them.
SETS = ("inheritable", "permitted", "effective", "bounding", "ambient")

_VERSION_3 = 0x20080522
PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def mask(names: Collection[str]) -> int:
    """Capabilities as a bit set. Raises KeyError with the name that is not known."""
    return sum(1 << NUMBERS[name] for name in set(names))


def names(bits: int) -> tuple[str, ...]:
    """A bit set, such as CapEff in /proc/PID/status shows it, as names in the kernel's order."""
    known = tuple(name for name, number in NUMBERS.items() if bits >> number & 1)
    return known + tuple(f"CAP_{n}" for n in range(len(NUMBERS), bits.bit_length()) if bits >> n & 1)


def of_process(pid: int | str = "self") -> dict[str, int]:
    """The five sets of a process as bit sets, by the names of SETS. Raises KernelError."""
    fields = {"CapInh": "inheritable", "CapPrm": "permitted", "CapEff": "effective"}
    fields.update({"CapBnd": "bounding", "CapAmb": "ambient"})
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as handle:
            pairs = (line.partition(":") for line in handle)
            return {fields[name]: int(value, 16) for name, _colon, value in pairs if name in fields}
    except OSError as error:
        raise KernelError.wrap(error, "open", f"/proc/{pid}/status") from error


def limit_bounding_set(keep: int) -> None:
    """Drop what is not in the bit set from the bounding set, for ever. Needs CAP_SETPCAP. Raises KernelError."""
    number = 0
    while True:
        try:
            held = libc.call("prctl", PR_CAPBSET_READ, number, 0, 0, 0)
        except KernelError as error:
            if error.errno == errno.EINVAL:  # the first number that this kernel does not have
                return
            raise
        if held and not keep >> number & 1:
            libc.call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0, path=f"capability {number}")
        number += 1


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2). Raises KernelError (EPERM, with the capabilities that the process does not have to give)."""
    header = _Header(_VERSION_3, 0)
    low, high = 0xFFFFFFFF, 32
    data = (_Data * 2)(
        _Data(effective & low, permitted & low, inheritable & low),
        _Data(effective >> high, permitted >> high, inheritable >> high),
    )
    try:
        libc.call("capset", ctypes.byref(header), data)
    except KernelError as error:
        lacking = names((effective | permitted | inheritable) & ~_permitted())
        if error.errno == errno.EPERM and lacking:
            error.path = ", ".join(lacking)
            error.hint = "The process that makes the container does not have them, so it cannot give them"
        raise


def _permitted() -> int:
    """The permitted set of the calling process, capget(2); it needs no /proc."""
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    libc.call("capget", ctypes.byref(header), data)
    return int(data[0].permitted) | int(data[1].permitted) << 32


def keep_across_setuid(keep: bool) -> None:
    """prctl(PR_SET_KEEPCAPS): whether leaving UID 0 keeps the permitted set (the effective one is cleared anyway)."""
    libc.call("prctl", PR_SET_KEEPCAPS, int(keep), 0, 0, 0)


def set_ambient(bits: int) -> None:
    """Exactly these ambient capabilities; each must be permitted and inheritable. Raises KernelError."""
    libc.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(bits.bit_length()):
        if bits >> number & 1:
            hint = "An ambient capability must be permitted and inheritable too"
            libc.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0, hint=hint)
