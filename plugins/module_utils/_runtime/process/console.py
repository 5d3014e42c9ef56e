# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container's terminal: made in its own devpts, its master handed to whoever asked for it."""

from __future__ import annotations

import _socket
import array
import errno
import fcntl
import os
import stat
import struct

from ..._kernel import openat2
from ..._kernel.errors import KernelError
from . import inroot
from .mounting import Helped, Here, Placed

# tty_ioctl(4), ioctl_tty(2)
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
_TIOCSCTTY = 0x540E
TIOCSWINSZ = 0x5414
TIOCGWINSZ = 0x5413
#: Where a devpts has it, and what it is: devices.txt of the kernel.
_PTMX, _PTMX_DEVICE = "dev/pts/ptmx", (5, 2)


def open_pair(root_fd: int, size: tuple[int, int] | None) -> tuple[int, int]:
    """(master, slave) of a new terminal of the devpts mounted at /dev/pts in the root; size is (rows, columns).

    The slave comes from the master itself, so no path of the image is followed. Raises KernelError.
    """
    try:
        _check_ptmx(root_fd)
        master = openat2.openat2(root_fd, _PTMX, os.O_RDWR | os.O_NOCTTY, resolve=inroot.STRICT)
    except KernelError as error:
        error.hint = "A terminal needs a devpts mount at /dev/pts in mounts"
        raise
    try:
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if size:
            fcntl.ioctl(master, TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    except OSError as error:
        raise KernelError.wrap(error, "ioctl", "/dev/pts/ptmx") from None
    return master, int(slave)


def _check_ptmx(root_fd: int) -> None:
    """Raise KernelError unless that is a terminal multiplexer: to open what an image put there can do something."""
    fd = openat2.openat2(root_fd, _PTMX, os.O_PATH, resolve=inroot.STRICT)
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(*_PTMX_DEVICE):
        raise KernelError(errno.ENOTTY, "open", "/" + _PTMX)


def bind_console(hands: Here | Helped, root_fd: int, slave: int) -> None:
    """The terminal is also /dev/console, config-linux.md."""
    target = inroot.file(root_fd, "/dev/console")
    try:
        hands.bind([Placed(slave, target, "/dev/console")])
    finally:
        os.close(target)


def take(slave: int) -> None:
    """Make it the controlling terminal and standard input, output and error. The process leads its session."""
    fcntl.ioctl(slave, _TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number)


def send(console_fd: int, master: int) -> None:
    """Give the master away over a connected Unix socket, as runc does (its docs/terminals.md)."""
    handle = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, os.dup(console_fd))
    try:
        rights = array.array("i", [master])
        handle.sendmsg([b"/dev/ptmx"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    finally:
        handle.close()


def receive(handle: _socket.socket) -> int:
    """The master that send() gave away."""
    _data, ancillary, _flags, _address = handle.recvmsg(4096, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    return int(array.array("i", ancillary[0][2][:4])[0])


def connect(path: str) -> int:
    """A connection to --console-socket. Raises KernelError."""
    handle = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        handle.connect(path)
    except OSError as error:
        handle.close()
        raise KernelError.wrap(error, "connect", path) from None
    return int(handle.detach())
