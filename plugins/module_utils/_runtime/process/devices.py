# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/dev of a container: nodes, symlinks and the console. config-linux.md, Default Devices and Devices."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from ..._kernel import mount
from ..._kernel.errors import KernelError
from ..bundle.spec import Device, Spec
from ..errors import RuntimeFailure
from . import inroot
from .mounting import Helped, Here, Placed

_CHARACTER = [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)]
#: What every container has, config-linux.md.
DEFAULT = (
    *(Device(f"/dev/{name}", "c", 1, minor, 0o666, 0, 0) for name, minor in _CHARACTER),
    Device("/dev/tty", "c", 5, 0, 0o666, 0, 0),
)
SYMLINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/ptmx": "pts/ptmx",
}
_KINDS = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def populate(hands: Here | Helped, root_fd: int, spec: Spec) -> None:
    """Default devices, those of linux.devices, symlinks. A /dev that is the host's own (bind) is left alone."""
    if any(entry.destination == "/dev" and entry.bind for entry in spec.mounts):
        return
    given = {device.path for device in spec.devices} | {entry.destination for entry in spec.mounts}
    wanted = (*(d for d in DEFAULT if d.path not in given), *spec.devices)
    # In a user namespace mknod(2) is not allowed, whoever asks.
    shown = [d for d in wanted if d.kind != "p"] if spec.namespace("user") is not None else []
    for device in wanted:
        if device not in shown:
            _make(root_fd, device)
    with contextlib.ExitStack() as stack:
        hands.attach([_shown(stack, root_fd, device) for device in shown])
    for path, target in SYMLINKS.items():
        _symlink(root_fd, path, target)


def _make(root_fd: int, device: Device) -> None:
    parent, name = inroot.parent(root_fd, device.path)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        number = os.makedev(device.major, device.minor) if device.kind != "p" else 0
        os.mknod(name, device.mode & 0o777 | _KINDS[device.kind], number, dir_fd=parent)
        # mknod obeys the umask, and following a symlink is impossible: we have just made the node.
        os.chmod(name, device.mode & 0o777, dir_fd=parent)
        os.chown(name, device.uid, device.gid, dir_fd=parent, follow_symlinks=False)
    except OSError as error:
        raise KernelError.wrap(error, "mknod", device.path) from None
    finally:
        os.close(parent)


def _shown(stack: contextlib.ExitStack, root_fd: int, device: Device) -> Placed:
    """The host's node of the same path. As the host's root did not open it, it must be reachable by all."""
    tree = mount.open_tree(mount.AT_FDCWD, device.path)
    stack.callback(os.close, tree)
    found = os.fstat(tree)
    same = (stat.S_IFMT(found.st_mode), os.major(found.st_rdev), os.minor(found.st_rdev))
    if same != (_KINDS[device.kind], device.major, device.minor):
        raise RuntimeFailure(
            f"{device.path} on the host is not device {device.kind} {device.major}:{device.minor}, and in a user "
            "namespace a device can only be the host's own of the same path"
        )
    target = inroot.file(root_fd, device.path)
    stack.callback(os.close, target)
    return Placed(tree, target, device.path)


def _symlink(root_fd: int, path: str, target: str) -> None:
    parent, name = inroot.parent(root_fd, path)
    try:
        if name == "ptmx":
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=parent)
        os.symlink(target, name, dir_fd=parent)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise KernelError.wrap(error, "symlink", path) from None
    finally:
        os.close(parent)
