# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether this kernel can give a container a user namespace over the layers of an image; small, as it is sent along."""

from __future__ import annotations

import os
import re

from . import files


def why_no_idmapped_layers() -> str:
    """The reason in words, empty where nothing stands against it. Reads, tries nothing."""
    # overlayfs takes them since that version (fs/overlayfs: "support idmapped layers").
    reason = since(5, 19)
    return f"an overlay with idmapped layers {reason}" if reason else why_no_user_namespaces()


def why_no_user_namespaces() -> str:
    """The reason in words, empty where root may make them."""
    limit = files.read_text("/proc/sys/user/max_user_namespaces")
    if limit is None:
        return "this kernel is built without user namespaces"
    return "user namespaces are switched off (sysctl user.max_user_namespaces is 0)" if int(limit) == 0 else ""


def since(major: int, minor: int) -> str:
    """Empty on that version of Linux and later ones; else the reason in words."""
    return "" if kernel_version() >= (major, minor) else f"needs Linux {major}.{minor}, this is {os.uname().release}"


def kernel_version(release: str | None = None) -> tuple[int, int]:
    """Major and minor version of a release such as 6.1.0-18-amd64; of the running kernel when none is given."""
    match = re.match(r"(\d+)\.(\d+)", release if release is not None else os.uname().release)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)
