# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``user`` of a container: names looked up in its own passwd and group files (OCI image-spec config.md, User)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

LookUp = Callable[[str], "bytes | None"]


class NoSuchUser(LookupError):
    """The name is in neither file of the image."""


def parse_user(user: str, read: LookUp) -> tuple[int, int, tuple[int, ...]]:
    """``user``, ``uid``, ``user:group``, ``uid:gid`` and mixtures, to (uid, gid, additional gids).

    ``read`` returns the content of a path of the container. A uid without an entry has gid 0 and no further groups; a
    group that was named leaves out the additional ones. Raises NoSuchUser.
    """
    who, colon, group = (user or "0").partition(":")
    entry = _passwd(read, who or "0")
    if entry is None and not who.isdigit():
        raise NoSuchUser(f"user {who} is not in the image's /etc/passwd")
    name, uid, gid = entry if entry is not None else (None, int(who), 0)
    if colon and group:
        return uid, _gid(read, group), ()
    extra = tuple(sorted(g for _name, g, members in _groups(read) if name is not None and name in members and g != gid))
    return uid, gid, extra


def _passwd(read: LookUp, who: str) -> tuple[str, int, int] | None:
    for fields in _lines(read, "etc/passwd", 4):
        if (fields[0] == who or fields[2] == who) and fields[2].isdigit() and fields[3].isdigit():
            return fields[0], int(fields[2]), int(fields[3])
    return None


def _gid(read: LookUp, group: str) -> int:
    if group.isdigit():
        return int(group)
    for name, gid, _members in _groups(read):
        if name == group:
            return gid
    raise NoSuchUser(f"group {group} is not in the image's /etc/group")


def _groups(read: LookUp) -> Iterator[tuple[str, int, list[str]]]:
    for fields in _lines(read, "etc/group", 4):
        if fields[2].isdigit():
            yield fields[0], int(fields[2]), fields[3].split(",")


def _lines(read: LookUp, path: str, fields: int) -> Iterator[list[str]]:
    for line in (read(path) or b"").decode("utf-8", "surrogateescape").splitlines():
        parts = line.split(":")
        if len(parts) >= fields:
            yield parts
