# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel parameters by name and by file, as sysctl(8) has them."""

from __future__ import annotations

_ROOT = "/proc/sys/"


def path_of(name: str) -> str:
    """net.ipv4.ip_forward or net/ipv4/ip_forward to its file; as in sysctl(8) the first separator decides.

    In the dotted form a slash stands for a dot of the name itself (net.ipv4.conf.eth0/100.forwarding).
    Raises ValueError for a name that leaves /proc/sys.
    """
    dot, slash = name.find("."), name.find("/")
    if dot != -1 and (slash == -1 or dot < slash):
        name = name.translate(str.maketrans("./", "/."))
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in name:
        raise ValueError(f"{name!r} is not the name of a kernel parameter")
    return _ROOT + "/".join(parts)


def name_of(path: str) -> str:
    """A parameter's name in the form with slashes, by its file; the opposite of path_of()."""
    return path[len(_ROOT) :]
