# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules between the properties of config.json: what each alone does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._kernel.mount import MOUNT_ATTR_NODEV
from ..errors import BundleError

if TYPE_CHECKING:
    from .mount_entry import MountEntry
    from .spec import Spec

#: Parameters that belong to an IPC namespace, namespaces(7); sysctl names with dots.
_IPC_SYSCTLS = frozenset(
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni "
    "kernel.shm_rmid_forced kernel.msg_next_id kernel.sem_next_id kernel.shm_next_id kernel.auto_msgmni".split()
)


def check(spec: Spec) -> None:
    """Raises BundleError."""
    if spec.namespace("mount") is None:
        raise BundleError("linux.namespaces", "mount", "a container needs a mount namespace of its own")
    if not spec.has_new("mount"):
        raise BundleError("linux.namespaces", "mount", "joining a mount namespace by path is not supported")
    _check_user_namespace(spec)
    for prop, value in (("hostname", spec.hostname), ("domainname", spec.domainname)):
        if value is not None and spec.namespace("uts") is None:
            raise BundleError(prop, value, "needs a uts namespace: it would change the host's")
    if spec.time_offsets and not spec.has_new("time"):
        raise BundleError("linux.timeOffsets", dict(spec.time_offsets), "needs a new time namespace")
    for name in spec.sysctl:
        _check_sysctl(spec, name)
    if spec.namespace("user") is not None:
        for entry in spec.mounts:
            _check_mount(entry)


def _check_user_namespace(spec: Spec) -> None:
    maps = spec.uid_mappings or spec.gid_mappings
    if spec.has_new("user"):
        if not (spec.uid_mappings and spec.gid_mappings):
            raise BundleError("linux.uidMappings", [], "a new user namespace needs uidMappings and gidMappings")
    elif maps and spec.namespace("user") is None:
        raise BundleError("linux.uidMappings", list(maps), "needs a user namespace")


def _check_mount(entry: MountEntry) -> None:
    """What the kernel does not do for a user namespace, mount_namespaces(7)."""
    prop = f"{entry.prop}.options"
    if entry.propagation in ("shared", "rshared"):
        message = "no mount made in a user namespace reaches the host; use rslave for the host's to arrive"
        raise BundleError(prop, entry.propagation, message)
    if not entry.bind and entry.attributes[1] & MOUNT_ATTR_NODEV:
        message = "device nodes of a file system that a user namespace mounts never work; bind the device instead"
        raise BundleError(prop, "dev", message)


def _check_sysctl(spec: Spec, name: str) -> None:
    """A parameter that is not of a namespace of the container would change the host."""
    dotted = name.replace("/", ".")
    if dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
        needed = "ipc"
    elif dotted.startswith("net."):
        needed = "network"
    elif dotted in ("kernel.domainname", "kernel.hostname"):
        needed = "uts"
    else:
        raise BundleError("linux.sysctl", name, "belongs to the whole host, not to a namespace")
    if spec.namespace(needed) is None:
        raise BundleError("linux.sysctl", name, f"needs a {needed} namespace: it would change the host's")
