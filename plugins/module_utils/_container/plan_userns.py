# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container's user namespace makes impossible, and what the lack of one makes possible. Pure."""

from __future__ import annotations

from .._core.errors import OptionError
from .records import Container

#: Capabilities that the kernel asks for in the host's user namespace only (capable(9) and not ns_capable(9)).
VOID = frozenset(
    f"CAP_{name}"
    for name in (
        "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND LEASE LINUX_IMMUTABLE MAC_OVERRIDE MKNOD PERFMON SYSLOG "
        "SYS_MODULE SYS_PACCT SYS_RAWIO SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
    ).split()
)


def check_mounts(container: Container, user_namespace: bool) -> None:
    """Raises OptionError for a mount option that the kernel would not honour."""
    for index, mount in enumerate(container.mounts):
        option = f"mounts[{index}].options"
        about = [word for word in mount.options if word in ("dev", "rdev", "nodev", "rnodev")]
        if user_namespace and mount.kind == "tmpfs" and about and about[-1] in ("dev", "rdev"):
            message = "device nodes on a tmpfs of a user namespace never work; bind-mount the device of the host"
            raise OptionError(option, about[-1], message)


def void_capabilities(container: Container, user_namespace: bool) -> str:
    """A warning where capabilities are added that give nothing; else empty."""
    void = [name[len("CAP_") :] for name in container.cap_add if name in VOID] if user_namespace else []
    if not void:
        return ""
    return (
        f"cap_add: {', '.join(void)}: without effect, as the kernel grants what they allow only outside of user "
        "namespaces; leave them out, or set namespaces.user to host"
    )


def takes_over(container: Container, user_namespace: bool) -> str:
    """A warning where the container's root can take over processes that have more rights than it; else empty.

    ptrace(2) asks for CAP_SYS_PTRACE in the user namespace of the other process: without one of its own the container
    has it there. What exec puts into it has nothing to take over, but the init of a container that joins it is the
    host's root at first. A socket gives a hold of who is at its other end, whom pidfd_getfd(2) takes descriptors from:
    that the default seccomp policy denies.
    """
    if user_namespace or "CAP_SYS_PTRACE" not in container.cap_add:
        return ""
    if container.namespaces.get("pid") == "host":
        whom = "every process of the host"
    else:
        whom = "other containers that join its process namespace (namespaces.pid) while they start"
        if container.seccomp == "unconfined":
            whom += ", and processes of the host at the other end of its sockets"
    return (
        f"cap_add: SYS_PTRACE: without a user namespace the container can take over {whom}, and with it the host; "
        "leave it out, or set namespaces.user to private"
    )
