# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs that machines need, installed from the distribution when they are missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

from .errors import VmError
from .store import Say

#: Program -> Debian's package.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "apt-ftparchive": "apt-utils",
    "gpg": "gnupg",
    "mke2fs": "e2fsprogs",
    "ssh": "openssh-client",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}


def missing() -> list[str]:
    """Packages whose program is not on PATH (or in the administrator's directories)."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None})


def ensure(say: Say) -> None:
    """Install what is missing. Raises VmError with what to do where that is not possible."""
    if platform.machine() != "x86_64":
        raise VmError(f"the machines' images are for x86_64; this is {platform.machine()}")
    if os.geteuid() != 0:
        raise VmError("building and booting machines needs root (mmdebstrap makes device nodes): run it as root")
    packages = missing()
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise VmError(f"not installed and no apt-get to install them with: {', '.join(packages)}")
    say(f"installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *packages]
    done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # the lists may be older than the mirror
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
        done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0 or missing():
        words = " / ".join(done.stderr.strip().splitlines()[-2:])
        raise VmError(f"could not install {', '.join(packages)}: {words}")
