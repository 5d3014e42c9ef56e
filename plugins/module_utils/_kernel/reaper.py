# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's program that runs as a container's first process, passes signals on and reaps: catatonit or tini."""

from __future__ import annotations

import os
import stat

from . import elf, regular
from .errors import KernelError

#: Where distributions have them, the first one first. Each is called as ``PROGRAM -- ARGUMENT...`` and exits with its
#: child's exit code, or with 128 and the number of the signal that ended the child.
PROGRAMS = (
    "/usr/bin/catatonit",  # Debian, openSUSE
    "/usr/libexec/podman/catatonit",
    "/usr/libexec/catatonit/catatonit",  # Fedora
    "/usr/lib/podman/catatonit",
    "/usr/bin/tini-static",  # Debian: tini
    "/usr/bin/docker-init",  # Debian: docker.io
    "/usr/libexec/docker/docker-init",
)
#: By this name in Debian, Ubuntu, Fedora, RHEL and openSUSE.
PACKAGE = "catatonit"


def usable() -> tuple[str, ...]:
    """Those that any container can run: for this machine, and static, as an image has no loader for them."""
    return tuple(path for path in PROGRAMS if not _why_not(path))


def why_none() -> str:
    """Why there is none, and what to do; empty where there is one."""
    if usable():
        return ""
    unfit = [f"{path} {why}" for path in PROGRAMS if (why := _why_not(path)) and os.path.exists(path)]
    found = f" ({'; '.join(unfit)})" if unfit else ""
    return f"no static catatonit or tini is on this host{found}: install package {PACKAGE}"


def _why_not(path: str) -> str:
    """Every container would run what others may write there, and users other than root have to execute it."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o111 != 0o111:
            return "is not a program that every user may execute"
        if status.st_uid != 0 or status.st_mode & 0o022:
            return "may be written by another user than root"
        with regular.opened(path) as handle:
            head = handle.read(elf.HEAD)
    except (KernelError, OSError) as error:
        return f"cannot be read ({error.strerror})"
    if not elf.is_static(head):
        return "is not static"
    machine = elf.other_machine(head)
    return f"is for {machine}" if machine else ""
