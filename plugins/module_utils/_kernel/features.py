# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host offers: each probe answers "" (it does) or the reason why it does not, and changes nothing.

A probe asks the kernel itself where that is harmless (a system call with arguments that it must refuse, a file-system
context that is never mounted, a namespace that ends at once); else it reads /proc, /sys, the kernel's configuration and
its list of modules; the version is the last resort.
"""

from __future__ import annotations

import errno
import gzip
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import cgroup_state, idmap, libc, mount, mount_overlay, nft, reaper, seccomp, spawn, systemd
from .errors import KernelError
from .userns import since, why_no_user_namespaces

#: Where the user namespace of the probe begins: IDs that no account has.
_PROBE_IDS = 1 << 20
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc")
#: Kernel parts that may be modules: the module and its configuration option.
_PARTS = {
    "bridge": ("bridge", "BRIDGE"),
    "br_netfilter": ("br_netfilter", "BRIDGE_NETFILTER"),
    "veth": ("veth", "VETH"),
    "vxlan": ("vxlan", "VXLAN"),
    "netem": ("sch_netem", "NET_SCH_NETEM"),
    "tbf": ("sch_tbf", "NET_SCH_TBF"),
    "overlay": ("overlay", "OVERLAY_FS"),
}
#: Programs and the packages of Debian that have them (most distributions use the same names).
_PROGRAMS = {
    "nft": "nftables",
    "ip": "iproute2",
    "skopeo": "skopeo",
    "mmdebstrap": "mmdebstrap",
    "debootstrap": "debootstrap",
    "busybox": "busybox-static",
    "zstd": "zstd",
    "modprobe": "kmod",
}


@dataclass(frozen=True)
class Feature:
    """Something the host offers or not; ``reason`` is empty where it does."""

    available: bool
    reason: str = ""


def observe_features() -> dict[str, Feature]:
    """Every feature by name. A probe that is itself refused gives the refusal as its reason."""
    found = {}
    for name, probe in probes().items():
        try:
            reason = probe()
        except OSError as error:
            reason = str(error)
        found[name] = Feature(not reason, reason)
    return found


def probes() -> Mapping[str, Callable[[], str]]:
    """The probes by feature."""
    hierarchy = cgroup_state.find_hierarchy()
    answers: dict[str, Callable[[], str]] = {
        "root": lambda: "" if os.geteuid() == 0 else "this task does not run as root: set become to true",
        "cgroup_v2": lambda: "" if hierarchy.mount else hierarchy.why_missing(""),
        "cgroup_kill": lambda: since(5, 14),
        "psi": lambda: "" if os.path.exists("/proc/pressure/cpu") else "off: boot with psi=1 (needs CONFIG_PSI)",
        "mount_api": _mount_api,
        "overlay_layers_one_by_one": _layers_one_by_one,
        "overlay_metacopy": lambda: _overlay_parameter("metacopy", 4, 19),
        "overlay_volatile": lambda: since(5, 10),
        "overlay_userxattr": lambda: since(5, 11),
        "overlay_idmapped_layers": lambda: since(5, 19),
        "idmapped_mounts": lambda: _system_call("mount_setattr", libc.NR_mount_setattr, -1, b"", 0, None, 0),
        "clone3": lambda: _system_call("clone3", libc.NR_clone3, None, 0),
        "openat2": lambda: _system_call("openat2", libc.NR_openat2, -1, b"", None, 0),
        "pidfd": lambda: _system_call("pidfd_open", libc.NR_pidfd_open, 0, 0),
        "close_range": lambda: _system_call("close_range", libc.NR_close_range, 1, 0, 0),
        "user_namespaces": _user_namespaces,
        "unprivileged_user_namespaces": _unprivileged_user_namespaces,
        "nftables": _nftables,
        "seccomp": _seccomp,
        "libseccomp": lambda: _asked(seccomp.library_version),
        "apparmor": lambda: _enabled_lsm("apparmor", "/sys/module/apparmor/parameters/enabled"),
        "selinux": lambda: "" if os.path.exists("/sys/fs/selinux/enforce") else "SELinux is not active",
        "systemd": lambda: "" if systemd.running() else "systemd is not this host's service manager",
        "pyroute2": _pyroute2,
        "reaper": reaper.why_none,
    }
    answers |= {f"controller_{n}": _controller(hierarchy, n) for n in _CONTROLLERS}
    answers |= {f"namespace_{n}": _namespace(n) for n in _NAMESPACES}
    answers |= {n: _part(*part) for n, part in _PARTS.items()}
    answers |= {f"program_{n}": _program(n, package) for n, package in _PROGRAMS.items()}
    return dict(sorted(answers.items()))


def security_modules() -> tuple[str, ...]:
    """The active Linux security modules; empty where securityfs is not mounted."""
    return tuple(word for word in _text("/sys/kernel/security/lsm").strip().split(",") if word)


def why_no_part(module: str, option: str, configuration: str, builtin: str, loadable: str, loaded: bool) -> str:
    """Pure: why a part of the kernel is not there, from its configuration and its lists of modules.

    configuration: the text of the kernel's .config, empty where it is not to be had; builtin and loadable: the texts of
    modules.builtin and modules.dep.
    """
    setting = re.search(rf"^CONFIG_{option}=([ym])$", configuration, re.MULTILINE)
    if loaded or setting and setting.group(1) == "y":
        return ""
    # A file's name may spell underscores as hyphens; in modules.dep what follows the colon are other modules.
    spelled = re.escape(module).replace("_", "[-_]")
    file = re.compile(rf"^(?:[^:\n]*/)?{spelled}\.ko(?:\.\w+)?(?::|$)", re.MULTILINE)
    if file.search(builtin) or file.search(loadable):
        return ""
    if setting:
        return f"the kernel has it as module {module}, which is not installed: install the kernel's extra modules"
    if configuration:
        return f"this kernel was built without CONFIG_{option}"
    return f"no module {module} is installed and it is not known to be built in"


def _part(module: str, option: str) -> Callable[[], str]:
    def probe() -> str:
        release = os.uname().release
        modules = f"/lib/modules/{release}"
        reason = why_no_part(
            module,
            option,
            kernel_configuration(),
            _text(f"{modules}/modules.builtin"),
            _text(f"{modules}/modules.dep"),
            os.path.isdir(f"/sys/module/{module}"),
        )
        locked = _text("/proc/sys/kernel/modules_disabled").strip() == "1"
        if not reason and locked and not _is_in(module, option, modules):
            return f"module {module} is not loaded, and kernel.modules_disabled forbids to load it"
        return reason

    return probe


def _is_in(module: str, option: str, modules: str) -> bool:
    """Whether the part is in the running kernel now, without loading anything."""
    loaded = os.path.isdir(f"/sys/module/{module}")
    return not why_no_part(module, option, kernel_configuration(), _text(f"{modules}/modules.builtin"), "", loaded)


def kernel_configuration() -> str:
    """The running kernel's .config from where it is usually found; empty where it is not."""
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="ascii", errors="replace") as handle:
            return handle.read()
    except OSError:
        release = os.uname().release
        return _text(f"/boot/config-{release}") or _text(f"/lib/modules/{release}/config")


def _controller(hierarchy: cgroup_state.Hierarchy, name: str) -> Callable[[], str]:
    return lambda: "" if name in hierarchy.controllers else hierarchy.why_missing(name)


def _namespace(name: str) -> Callable[[], str]:
    return lambda: "" if os.path.exists(f"/proc/self/ns/{name}") else "this kernel was built without it"


def _program(name: str, package: str) -> Callable[[], str]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return lambda: "" if shutil.which(name, path=path) else f"{name} is not installed: install package {package}"


def _system_call(name: str, number: int, *refused: object) -> str:
    """Called with arguments that no kernel accepts: all but ENOSYS (and a filter's EPERM) say that it is there."""
    try:
        libc.syscall(name, number, *refused)
    except KernelError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return f"{name}: {error.strerror}"
    return ""


def _asked(question: Callable[[], object]) -> str:
    question()
    return ""


def _overlay_is_here() -> bool:
    return "nodev\toverlay" in _text("/proc/filesystems").splitlines()


def _mount_api() -> str:
    os.close(mount.fsopen("tmpfs"))
    return ""


def _layers_one_by_one() -> str:
    if not _overlay_is_here():
        return since(6, 7)  # asking would load the module
    return "" if mount_overlay.takes_layers_one_by_one() else f"needs Linux 6.7, this is {os.uname().release}"


def _overlay_parameter(name: str, major: int, minor: int) -> str:
    return "" if os.path.exists(f"/sys/module/overlay/parameters/{name}") else since(major, minor)


def _user_namespaces() -> str:
    reason = why_no_user_namespaces()
    if reason:
        return reason
    os.close(idmap.user_namespace(_PROBE_IDS, 1))
    return ""


def _unprivileged_user_namespaces() -> str:
    if not os.path.exists("/proc/self/ns/user"):
        return "this kernel was built without user namespaces"
    for name, forbids in (
        ("user/max_user_namespaces", "0"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
    ):
        if _text(f"/proc/sys/{name}").strip() == forbids:
            return f"sysctl {name.replace('/', '.')} is {forbids}; root may all the same"
    return ""


def _nftables() -> str:
    if _program("nft", "nftables")():
        return _program("nft", "nftables")()
    return _asked(nft.read_base_chains)


def _seccomp() -> str:
    known = os.path.exists("/proc/sys/kernel/seccomp/actions_avail")
    return "" if known else "this kernel was built without CONFIG_SECCOMP_FILTER"


def _enabled_lsm(name: str, parameter: str) -> str:
    return "" if _text(parameter).strip() == "Y" else f"{name} is not active (see the kernel parameter lsm=)"


def _pyroute2() -> str:
    if importlib.util.find_spec("pyroute2") is not None:
        return ""
    question = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pyroute2') is None)"
    interpreter = "/usr/bin/python3"
    if os.path.exists(interpreter) and interpreter != sys.executable:
        answer = spawn.run([interpreter, "-I", "-c", question], capture_output=True)
        if answer.returncode == 0:
            return ""
    return f"neither {sys.executable} nor {interpreter} has it: install package python3-pyroute2"


def _text(path: str) -> str:
    """A small file's text, empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""
