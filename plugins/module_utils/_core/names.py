# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that end up in paths, comments and aliases."""

from __future__ import annotations

import re

from .errors import OptionError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_CONTAINER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")
#: IFNAMSIZ is 16 with the final NUL, netdevice(7).
LINK_NAME_MAX = 15
RESERVED_LINK_NAMES = ("all", "default", "lo")


def check_name(option: str, value: str) -> str:
    """The name of an object of ours, unchanged. Raises OptionError."""
    if not _NAME.fullmatch(value):
        raise OptionError(
            option, value, "use up to 63 letters, digits, '_', '.' and '-', beginning with a letter or digit"
        )
    return value


def check_link_name(option: str, value: str) -> str:
    """A network interface's name, unchanged; dev_valid_name() of the kernel, and no character that needs quoting.

    No '%' either: the kernel takes eth%d as a template (__dev_alloc_name()) and numbers the interface itself.
    Raises OptionError.
    """
    if len(value.encode("utf-8", "surrogateescape")) > LINK_NAME_MAX:
        raise OptionError(option, value, f"an interface name has at most {LINK_NAME_MAX} bytes")
    if value in ("", ".", "..") or re.search(r"[^\x21-\x7e]|[/:%\"'\\{}*]", value):
        raise OptionError(option, value, "an interface name has no spaces, '/', ':', '%', quotes, braces or '*'")
    if value in RESERVED_LINK_NAMES:
        raise OptionError(option, value, "is a reserved name: loopback's, or that of a directory in /proc/sys/net")
    return value


def container_name(value: str, option: str = "name") -> str:
    """A name that is safe as a file name, a host name's start and a cgroup's name. Raises OptionError."""
    if not _CONTAINER.fullmatch(value) or ".." in value:
        raise OptionError(
            option,
            value,
            "use 1 to 48 lower-case letters, digits, dots, hyphens or underscores, beginning with a letter or digit",
        )
    return value
