# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be opened while the runtime still is the host's root: the root file system, bind sources, namespaces.

Detached mounts (open_tree) are made here, attributes and ID mappings included, and attached inside the container; so
nothing is looked up on the host by a process that is half a container's.
"""

from __future__ import annotations

import errno
import os
import stat

from ..._kernel import mount
from ..._kernel.cgroup_devices import BLOCK, CHARACTER
from ..._kernel.errors import KernelError
from ..bundle.mount_entry import MountEntry
from ..bundle.spec import Spec
from ..errors import BundleError

_DEVICES = {stat.S_IFCHR: CHARACTER, stat.S_IFBLK: BLOCK}


class Prepared:
    """Open descriptors: the detached root, detached bind mounts by index, namespaces to join by kind."""

    def __init__(self) -> None:
        self.root_tree = -1
        self.binds: dict[int, int] = {}
        self.bind_is_directory: dict[int, bool] = {}
        self.namespaces: dict[str, int] = {}
        #: Kind and number of the devices among the bind mounts, as cgroup_devices has them.
        self.devices: list[tuple[int, int, int]] = []

    def close(self) -> None:
        """Close what is open."""
        for fd in (self.root_tree, *self.binds.values(), *self.namespaces.values()):
            if fd >= 0:
                os.close(fd)
        self.root_tree, self.binds, self.namespaces = -1, {}, {}


def prepare(spec: Spec) -> Prepared:
    """Open everything. Raises BundleError (what config.json names does not exist), KernelError."""
    prepared = Prepared()
    try:
        for namespace in spec.namespaces:
            if namespace.path is not None:
                prepared.namespaces[namespace.kind] = _open_namespace(namespace.kind, namespace.flag, namespace.path)
        prepared.root_tree = _root_tree(spec)
        for index, entry in enumerate(spec.mounts):
            if entry.bind:
                prepared.binds[index] = fd = _bind_tree(entry, spec, prepared)
                found = os.fstat(fd)
                prepared.bind_is_directory[index] = stat.S_ISDIR(found.st_mode)
                kind = _DEVICES.get(stat.S_IFMT(found.st_mode))
                if kind is not None:
                    prepared.devices.append((kind, os.major(found.st_rdev), os.minor(found.st_rdev)))
    except BaseException:
        prepared.close()
        raise
    return prepared


def _root_tree(spec: Spec) -> int:
    try:
        fd = mount.open_tree(mount.AT_FDCWD, spec.rootfs, recursive=True)
    except KernelError as error:
        raise BundleError("root.path", spec.rootfs, f"cannot be used: {error.strerror}") from None
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise BundleError("root.path", spec.rootfs, "is not a directory")
    # What the container mounts must not appear on the host; the host's own later mounts appear inside on request only.
    followed = spec.rootfs_propagation in ("slave", "rslave", "shared", "rshared")
    try:
        mount.mount_setattr(fd, b"", propagation=mount.MS_SLAVE if followed else mount.MS_PRIVATE, recursive=True)
        if spec.namespace("user") is not None:
            # A device node of an image is nothing but a name: what a container has of devices is mounted on its /dev.
            mount.mount_setattr(fd, b"", mount.MOUNT_ATTR_NODEV, recursive=True)
    except KernelError as error:
        os.close(fd)
        error.hint = "nsrun needs Linux 5.12: take another runtime (crun, runc)" if error.errno == errno.ENOSYS else ""
        raise
    return fd


def _bind_tree(entry: MountEntry, spec: Spec, prepared: Prepared) -> int:
    """A detached copy of the source with all that the entry's options say."""
    recursive = entry.bind == "rbind"
    try:
        fd = mount.open_tree(mount.AT_FDCWD, entry.source, recursive=recursive)
    except KernelError as error:
        raise BundleError(f"{entry.prop}.source", entry.source, f"cannot be mounted: {error.strerror}") from None
    try:
        apply_attributes(fd, entry)
        if entry.idmap:
            _map_ids(fd, entry, spec, prepared)
        return fd
    except BaseException:
        os.close(fd)
        raise


def apply_attributes(fd: int, entry: MountEntry) -> None:
    """Give a detached mount the attributes and propagation of the entry; private where it does not say."""
    word = entry.propagation or ("rprivate" if entry.bind else "private")
    recursive, kind = word not in mount.PROPAGATION, word if word in mount.PROPAGATION else word[1:]
    mount.mount_setattr(fd, b"", propagation=mount.PROPAGATION[kind], recursive=recursive)
    for pair, below in ((entry.rattributes, True), (entry.attributes, False)):
        if any(pair):
            mount.mount_setattr(fd, b"", *pair, recursive=below)


def _map_ids(fd: int, entry: MountEntry, spec: Spec, prepared: Prepared) -> None:
    """Options idmap and ridmap: owners as the mount's own mapping, or the container's user namespace, maps them."""
    from ..._kernel import idmap  # imported here: few bundles need it

    userns = prepared.namespaces.get("user") if entry.mapping is None else None
    made = userns is None
    if userns is None:
        userns = idmap.user_namespace(*(entry.mapping or _container_mapping(entry, spec)))
    try:
        mount.mount_setattr(fd, b"", mount.MOUNT_ATTR_IDMAP, userns_fd=userns, recursive=entry.idmap == "ridmap")
    except KernelError as error:
        error.hint = f"The file system of {entry.source} cannot be ID-mapped by this kernel"
        raise
    finally:
        if made:
            os.close(userns)


def _container_mapping(entry: MountEntry, spec: Spec) -> tuple[int, int]:
    maps = spec.uid_mappings
    if len(maps) != 1 or maps != spec.gid_mappings or maps[0].container_id != 0:
        message = "needs a user namespace with one mapping of IDs from 0"
        raise BundleError(f"{entry.prop}.options", entry.idmap, message)
    return maps[0].host_id, maps[0].size


def _open_namespace(kind: str, flag: int, path: str) -> int:
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise BundleError(f"linux.namespaces.{kind}", path, f"cannot be opened: {error.strerror}") from None
    try:
        found = fcntl.ioctl(fd, 0xB703)  # NS_GET_NSTYPE, ioctl_ns(2)
    except OSError:
        found = 0
    if found != flag:
        os.close(fd)
        raise BundleError(f"linux.namespaces.{kind}", path, f"is not a {kind} namespace")
    return fd
