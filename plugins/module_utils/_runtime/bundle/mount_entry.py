# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One entry of ``mounts``: the option words of config.md become attributes, propagation and file-system options."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from ..._kernel import mount
from ..errors import BundleError
from .checks import absolute, integer, obj, text

#: word -> (attributes to set, attributes to clear)
_ATTRIBUTES = {
    "ro": (mount.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, mount.MOUNT_ATTR_RDONLY),
    "nosuid": (mount.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, mount.MOUNT_ATTR_NOSUID),
    "nodev": (mount.MOUNT_ATTR_NODEV, 0),
    "dev": (0, mount.MOUNT_ATTR_NODEV),
    "noexec": (mount.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, mount.MOUNT_ATTR_NOEXEC),
    "nosymfollow": (mount.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, mount.MOUNT_ATTR_NOSYMFOLLOW),
    "nodiratime": (mount.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, mount.MOUNT_ATTR_NODIRATIME),
    # The atime settings share one field, so setting one clears the others.
    "relatime": (mount.MOUNT_ATTR_RELATIME, mount.MOUNT_ATTR__ATIME),
    "norelatime": (mount.MOUNT_ATTR_STRICTATIME, mount.MOUNT_ATTR__ATIME),
    "strictatime": (mount.MOUNT_ATTR_STRICTATIME, mount.MOUNT_ATTR__ATIME),
    "nostrictatime": (mount.MOUNT_ATTR_RELATIME, mount.MOUNT_ATTR__ATIME),
    "noatime": (mount.MOUNT_ATTR_NOATIME, mount.MOUNT_ATTR__ATIME),
    "atime": (mount.MOUNT_ATTR_RELATIME, mount.MOUNT_ATTR__ATIME),
}
_WITHOUT_EFFECT = ("defaults",)
_OF_FSTAB = "is for mount(8) and fstab, and means nothing here; leave it out"
#: What this runtime cannot honour, and why.
_REFUSED = {
    **dict.fromkeys(("auto", "noauto", "nofail", "user", "nouser", "users", "owner", "group", "_netdev"), _OF_FSTAB),
    "remount": "changes a mount that is there; each container's are new",
    "mand": "means nothing since Linux 5.15, which has no mandatory locks",
    "tmpcopyup": "is not supported by this runtime: a volume of ns_container begins with what the image has there",
    **dict.fromkeys(("silent", "loud", "iversion", "noiversion"), "cannot be set by the mount API; leave it out"),
}


class MountEntry(NamedTuple):
    """What to mount. ``bind`` is "", bind or rbind. ``attributes`` are (set, clear) of the mount itself, by all words
    in their order; ``rattributes`` are those of the mounts below it, by recursive words (rro) only.

    ``propagation`` is a name as mount_namespaces(7) has it, recursive ones with an r before it. ``idmap`` is "",
    idmap or ridmap, ``mapping`` its own (host ID, size) instead of the user namespace's. ``data`` is what goes to the
    file system itself.
    """

    prop: str
    destination: str
    kind: str
    source: str
    bind: str
    attributes: tuple[int, int]
    rattributes: tuple[int, int]
    propagation: str | None
    idmap: str
    mapping: tuple[int, int] | None
    data: tuple[str, ...]


def parse_mount(prop: str, value: Any, bundle: str) -> MountEntry:
    """Check one entry of ``mounts``; a relative source of a bind mount is relative to the bundle."""
    entry = obj(prop, value)
    destination = absolute(f"{prop}.destination", entry.get("destination"))
    words = _Words(f"{prop}.options")
    for word in entry.get("options") or []:
        words.take(text(f"{prop}.options", word))
    kind = entry.get("type") or ""
    bind = words.bind or ("bind" if kind == "bind" else "")
    mapping = _mapping(prop, entry)
    if mapping and not words.idmap:
        words.idmap = "ridmap" if bind == "rbind" else "idmap"
    if not bind and not kind:
        raise BundleError(f"{prop}.type", kind, "must be a file-system type, or options must hold bind or rbind")
    if words.idmap and not bind:
        raise BundleError(f"{prop}.options", words.idmap, "is for bind mounts")
    source = entry.get("source") or kind
    if bind:
        if words.data:
            message = "is not a mount option for a bind mount: options of a file system are set where that is mounted"
            raise BundleError(f"{prop}.options", words.data[0], message)
        source = os.path.join(bundle, text(f"{prop}.source", entry.get("source")))
    return MountEntry(
        prop=prop,
        destination=os.path.normpath("/" + destination.lstrip("/")),
        kind=kind,
        source=source,
        bind=bind,
        attributes=words.attributes,
        rattributes=words.rattributes,
        propagation=words.propagation,
        idmap=words.idmap,
        mapping=mapping,
        data=tuple(words.data),
    )


def _mapping(prop: str, entry: dict[str, Any]) -> tuple[int, int] | None:
    """uidMappings and gidMappings of one mount: one range, the same in both, from 0."""
    uids, gids = entry.get("uidMappings") or [], entry.get("gidMappings") or []
    if not (uids or gids):
        return None
    if uids != gids or len(uids) != 1 or obj(f"{prop}.uidMappings", uids[0]).get("containerID") != 0:
        raise BundleError(f"{prop}.uidMappings", uids, "must be one range from 0, and gidMappings the same")
    first, size = (integer(f"{prop}.uidMappings", uids[0].get(key)) for key in ("hostID", "size"))
    return first, size


class _Words:
    """Collects the words of one ``options`` list."""

    def __init__(self, prop: str) -> None:
        self.prop = prop
        self.bind = ""
        self.idmap = ""
        self.propagation: str | None = None
        self.attributes = (0, 0)
        self.rattributes = (0, 0)
        self.data: list[str] = []

    def take(self, word: str) -> None:
        if word in ("bind", "rbind"):
            self.bind = word
        elif word in ("idmap", "ridmap"):
            self.idmap = word
        elif word in mount.PROPAGATION or word[:1] == "r" and word[1:] in mount.PROPAGATION:
            self.propagation = word
        elif word in _ATTRIBUTES:
            self.attributes = _combine(self.attributes, _ATTRIBUTES[word])
        elif word[:1] == "r" and word[1:] in _ATTRIBUTES:
            self.attributes = _combine(self.attributes, _ATTRIBUTES[word[1:]])
            self.rattributes = _combine(self.rattributes, _ATTRIBUTES[word[1:]])
        elif word in _REFUSED:
            raise BundleError(self.prop, word, _REFUSED[word])
        elif word not in _WITHOUT_EFFECT:
            self.data.append(word)


def _combine(so_far: tuple[int, int], more: tuple[int, int]) -> tuple[int, int]:
    """A later word wins over an earlier one."""
    return (so_far[0] & ~more[1] | more[0], so_far[1] & ~more[0] | more[1])


def known_options() -> list[str]:
    """Every option word that has a meaning of its own here, for ``features``."""
    return ["bind", "rbind", "idmap", "ridmap", *_ATTRIBUTES, *("r" + word for word in _ATTRIBUTES)]
