# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users and groups by name, passwd(5) and group(5), in files that are not the host's and may hold anything."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from .errors import BareKernelError

LookUp = Callable[[str], "bytes | None"]
#: (uid_t)-1 means "leave it" to chown(2) and setresuid(2).
_LARGEST = (1 << 32) - 2
#: How many names an error lists.
_LISTED = 5


class NoSuchUser(BareKernelError, LookupError):
    """The name is in neither file, or the number is no ID."""


def parse_user(user: str, read: LookUp) -> tuple[int, int, tuple[int, ...]]:
    """``user``, ``uid``, ``user:group``, ``uid:gid`` and mixtures, to (uid, gid, additional gids): OCI image-spec,
    config.md, User.

    ``read`` returns the content of a path of the container. A uid without an entry has gid 0 and no further groups; a
    group that was named leaves out the additional ones. Raises NoSuchUser.
    """
    who, colon, group = (user or "0").partition(":")
    entry = _passwd(read, who or "0")
    number = _number("user", who or "0")
    if entry is None and number is None:
        raise NoSuchUser(f"user {who} is not in the image's /etc/passwd; {_others(read, 'etc/passwd')}")
    name, uid, gid = entry if entry is not None else (None, number or 0, 0)
    if colon and group:
        return uid, _gid(read, group), ()
    extra = tuple(sorted(g for _name, g, members in _groups(read) if name is not None and name in members and g != gid))
    return uid, gid, extra


def parse_group(group: str, read: LookUp) -> int:
    """A group's ID of its name in /etc/group, or of the number itself. Raises NoSuchUser."""
    return _gid(read, group)


def _number(kind: str, text: str) -> int | None:
    """None for a name. Raises NoSuchUser for a number beyond the IDs that there are."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(_LARGEST)) or int(digits) > _LARGEST:
        raise NoSuchUser(f"{kind} {text[:40]} is no ID, the largest is {_LARGEST}")
    return int(digits)


def _passwd(read: LookUp, who: str) -> tuple[str, int, int] | None:
    for fields in _lines(read, "etc/passwd", 4):
        if who in (fields[0], fields[2]):
            uid, gid = _number("user", fields[2]), _number("group", fields[3])
            if uid is not None and gid is not None:
                return fields[0], uid, gid
    return None


def _gid(read: LookUp, group: str) -> int:
    number = _number("group", group)
    if number is not None:
        return number
    for name, gid, _members in _groups(read):
        if name == group:
            return gid
    raise NoSuchUser(f"group {group} is not in the image's /etc/group; {_others(read, 'etc/group')}")


def _others(read: LookUp, path: str) -> str:
    """What can be written instead."""
    names = sorted({fields[0][:32] for fields in _lines(read, path, 3)} - {""})
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return "write a numeric ID" + (f", or a name that is there ({', '.join(names[:_LISTED])}{more})" if names else "")


def _groups(read: LookUp) -> Iterator[tuple[str, int, list[str]]]:
    for fields in _lines(read, "etc/group", 4):
        gid = None
        with contextlib.suppress(NoSuchUser):  # others' lines are none of our business
            gid = _number("group", fields[2])
        if gid is not None:
            yield fields[0], gid, fields[3].split(",")


def _lines(read: LookUp, path: str, fields: int) -> Iterator[list[str]]:
    for line in (read(path) or b"").decode("utf-8", "surrogateescape").split("\n"):
        parts = line.split(":")
        if len(parts) >= fields:
            yield parts
