# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container gets when nothing else is asked for: data for whoever writes the bundle.

Everything is in the form of config.json (OCI runtime-spec 1.2); functions return fresh objects that may be changed.
"""

from __future__ import annotations

from typing import Any

from .seccomp_policy import default_policy

__all__ = [
    "BELOW_HOST_SYS",
    "CAPABILITIES",
    "MASKED_PATHS",
    "OCI_VERSION",
    "READONLY_PATHS",
    "default_capabilities",
    "default_mounts",
    "default_policy",
    "default_spec",
]

OCI_VERSION = "1.2.0"

#: No larger than Docker's default set; CAP_MKNOD and CAP_AUDIT_WRITE of that set are left out (devices are given by
#: the runtime, and the audit socket belongs to the host).
CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

#: Host-wide information or controls that no namespace hides.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)

#: Where the host mounts more file systems below its /sys, none of which a namespace hides.
BELOW_HOST_SYS = (
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/fs/selinux",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
)

READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def default_capabilities() -> dict[str, list[str]]:
    """``process.capabilities``: nothing inheritable or ambient, so an unprivileged user in the container has none."""
    held = list(CAPABILITIES)
    return {"bounding": held, "effective": list(held), "permitted": list(held), "inheritable": [], "ambient": []}


def default_mounts(shm_size: int = 64 * 1024 * 1024) -> list[dict[str, Any]]:
    """``mounts`` as the runtime-spec lists them for Linux (config-linux.md, default filesystems)."""

    def mount(destination: str, fstype: str, source: str, *options: str) -> dict[str, Any]:
        return {"destination": destination, "type": fstype, "source": source, "options": list(options)}

    hardened = ("nosuid", "noexec", "nodev")
    return [
        mount("/proc", "proc", "proc", *hardened),
        mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        mount("/dev/shm", "tmpfs", "shm", *hardened, "mode=1777", f"size={shm_size}"),
        mount("/dev/mqueue", "mqueue", "mqueue", *hardened),
        mount("/sys", "sysfs", "sysfs", *hardened, "ro"),
        mount("/sys/fs/cgroup", "cgroup2", "cgroup", *hardened, "relatime", "ro"),
    ]


def default_spec() -> dict[str, Any]:
    """A whole config.json for a shell in ``rootfs``: what ``nsrun spec`` prints."""
    capabilities = default_capabilities()
    return {
        "ociVersion": OCI_VERSION,
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": capabilities,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "nsrun",
        "mounts": default_mounts(),
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": list(MASKED_PATHS),
            "readonlyPaths": list(READONLY_PATHS),
            "seccomp": default_policy(capabilities["bounding"]),
        },
    }
