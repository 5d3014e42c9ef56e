# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that is full: what was needed, what is free, where, and what to do, in the same words wherever it is met."""

from __future__ import annotations

import errno
import os
import re

from ..._kernel.errors import KernelError
from ..errors import ImageError, Unreachable

_ADVICE = "free some space there, or run oci_image_prune"
#: ENOSPC of these calls is about something else: how many mounts or namespaces there may be.
_OTHER_CALLS = re.compile("mount|move_mount|fs(open|config|mount)|open_tree|clone3|unshare")
#: As programs say it, in the locale C.
_WORDS = {errno.ENOSPC: "no space left on device", errno.EDQUOT: "disk quota exceeded"}
#: How skopeo names the file.
_FILE = re.compile("(/[^ :]+): (?:" + "|".join(_WORDS.values()) + ")")

FULL = tuple(_WORDS)


def free(path: str) -> int:
    """Bytes that can be written to the file system of what is, or will be, at that path."""
    status = os.statvfs(_existing(path))
    return status.f_bavail * status.f_frsize


def check_room(path: str, needed: int, what: str) -> None:
    """Refuse early what cannot fit. Raises ImageError that says how much is needed."""
    if needed > free(path):
        raise ImageError(f"{what} needs {needed} bytes {_place(path)} {_room(path)}", _ADVICE.capitalize())


def explain(error: object, root: str, needed: str = "", before: int | None = None, what: str = "The image") -> None:
    """Where ``error`` says that a disk is full, or a quota used up, it says how much was needed from now on.

    Something below ``root`` was being made; ``needed`` is such as "about 500", empty where it is not known: then
    ``before`` is what was free when it began. An error that has its advice already is left as it is.
    """
    number = _number(error)
    if number is None or not isinstance(error, (KernelError, ImageError)) or error.hint:
        return
    path = _where(error, root)
    wants = f"{needed} bytes" if needed else "more than there is"
    had = f" had {before} bytes free before and" if before is not None and not needed and path == root else ""
    hint = f"{what} needs {wants} {_place(path)}{had} {_room(path)}"
    if number == errno.EDQUOT:
        hint += f", but a disk quota allows no more. Raise the quota, {_ADVICE}"
    else:
        hint += f". {_ADVICE.capitalize()}"
    error.hint = hint
    if isinstance(error, ImageError):
        error.args = (f"{error}. {hint}",)


def _number(error: object) -> int | None:
    """ENOSPC or EDQUOT where it is one of these."""
    if isinstance(error, KernelError):
        other = _OTHER_CALLS.match(error.syscall) or (error.path or "").startswith(("/proc/", "/sys/"))
        return error.errno if error.errno in _WORDS and not other else None
    text = str(error).lower()
    return next((number for number, words in _WORDS.items() if words in text), None)


def _where(error: KernelError | ImageError, root: str) -> str:
    """The directory of the file that the error names where that is elsewhere (an archive is saved), else ``root``."""
    named = error.path or "" if isinstance(error, KernelError) else ""
    if isinstance(error, Unreachable):  # a command of a build names a path in the image, not one of the host
        named = (_FILE.findall(str(error)) or [""])[-1]
    directory = os.path.dirname(named) if named.startswith("/") else root
    return directory if os.stat(_existing(directory)).st_dev != os.stat(_existing(root)).st_dev else root


def _place(path: str) -> str:
    mounted = _existing(path)
    while not os.path.ismount(mounted):
        mounted = os.path.dirname(mounted)
    return f"below {path}, whose file system" + (f" (mounted at {mounted})" if mounted != path else "")


def _room(path: str) -> str:
    status = os.statvfs(_existing(path))
    inodes = ", and no inode is left" if status.f_files and not status.f_favail else ""
    return f"has {status.f_bavail * status.f_frsize} free{inodes}"


def _existing(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path
