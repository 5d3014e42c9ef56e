# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``volumes`` and ``tmpfs`` of a service, as mounts of ns_container.

Compose Specification, services, "volumes" (short and long syntax), "tmpfs".
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import Any

from .errors import Place
from .keys import BIND, MOUNT, TMPFS_OPTIONS, VOLUME_OPTIONS
from .options import Options
from .reading import Reader
from .values import INTEGER, Scalar, Table, Value
from .volumes import Volumes

_PROPAGATION = ("private", "rprivate", "slave", "rslave", "shared", "rshared")
#: Words behind a short entry that change nothing: of Docker Desktop, and what is the default.
_IDLE = ("", "rw", "cached", "consistent", "delegated")
_SELINUX = ("z", "Z")
_OCTAL = re.compile(r"0o?([0-7]{1,5})")
_DIGITS = re.compile(r"[0-7]{1,5}")


class Mounts:
    """Adds mounts to a container's options. ``host_directory`` is where the host has what the file names by ./ ."""

    def __init__(self, volumes: Volumes, host_directory: str | None, project: str, reader: Reader) -> None:
        self._volumes, self._directory, self._project, self._reader = volumes, host_directory, project, reader

    def add(self, table: Table, options: Options) -> None:
        """All mounts that a service names in its volumes and tmpfs."""
        for item in self._reader.items(table.get("volumes")):
            made = self._long(item, options) if isinstance(item, Table) else self._short(item, options)
            if made is not None:
                options.add("mounts", made, item.place)
        for text, place in self._reader.text_or_texts(table.get("tmpfs")):
            target, _colon, words = text.partition(":")
            # Docker's own for --tmpfs; of two words that contradict each other the last one counts.
            given = ["noexec", *filter(None, words.split(","))]
            options.add("mounts", {"type": "tmpfs", "target": target, "options": given}, place)

    def _short(self, item: Value, options: Options) -> dict[str, Any] | None:
        text = self._reader.text(item)
        if text is None:
            return None
        parts = text.split(":")
        if len(parts) > 3 or not parts[0]:
            self._reader.problems.wrong(item.place, "write [SOURCE:]TARGET[:ro], such as data:/var/lib/data", text)
            return None
        if len(parts) == 1:
            return self._anonymous(text, options)
        made = self._from(parts[0], item.place)
        if made is None:
            return None
        made["target"] = parts[1]
        for word in parts[2].split(",") if len(parts) == 3 else ():
            self._word(word, made, item.place)
        return made

    def _word(self, word: str, made: dict[str, Any], place: Place) -> None:
        if word == "ro":
            made["read_only"] = True
        elif word in _PROPAGATION:
            self._propagation(word, made, place)
        elif word in _SELINUX:
            self._reader.problems.warn(place, f"{word!r} is left out: files are not relabelled for SELinux")
        elif word == "nocopy":
            self._reader.problems.unsupported(place, f"{word!r}; {VOLUME_OPTIONS.unsupported['nocopy']}")
        elif word not in _IDLE:
            self._reader.problems.wrong(place, "is no word for a mount; write ro, rw, or a propagation", word)

    def _propagation(self, word: str, made: dict[str, Any], place: Place) -> None:
        if word in ("shared", "rshared"):
            why = "what is mounted in a container never reaches the host; rslave lets mounts of the host arrive in it"
            self._reader.problems.unsupported(place, why)
        else:
            made["propagation"] = word

    def _from(self, source: str, place: Place) -> dict[str, Any] | None:
        """A path of the host where it looks like one, else a declared volume."""
        if source.startswith((".", "/", "~")):
            path = self._path(source, place)
            return None if path is None else {"type": "bind", "source": path}
        volume = self._volumes.use(source, place)
        if volume is None:
            return None
        if volume.kind == "bind":
            path = self._path(volume.source, place)
            return None if path is None else {"type": "bind", "source": path}
        return {"type": "volume", "source": volume.source}

    def _path(self, source: str, place: Place) -> str | None:
        """An absolute path of the managed host."""
        if source.startswith("/"):
            return source
        if source.startswith("~"):
            why = "is below a home directory, and a container of root has none; write an absolute path of the host"
            self._reader.problems.wrong(place, why, source)
            return None
        if self._directory is None:
            why = "is relative to the Compose file, which is not on the host; write an absolute path of the host, or "
            self._reader.problems.wrong(place, f"{why}name the directory of the host that has these files", source)
            return None
        return posixpath.normpath(posixpath.join(self._directory, source))

    def _anonymous(self, target: str, options: Options) -> dict[str, Any]:
        """A volume of the container's own. It has a name, so that the same container finds it again."""
        digest = hashlib.sha256(f"{options.values['name']} {target}".encode("utf-8", "surrogatepass")).hexdigest()
        return {"type": "volume", "source": f"{self._project[:31]}_{digest[:16]}", "target": target}

    def _long(self, item: Table, options: Options) -> dict[str, Any] | None:
        table = self._reader.table(item, MOUNT)
        kind = self._reader.text(table.get("type"))
        target = self._reader.filled(table.get("target"))
        for key in ("type", "target"):
            if table.get(key) is None:
                self._reader.problems.wrong(item.place, f"has no {key}")
        if kind in ("cluster", "npipe", "image"):
            self._reader.problems.unsupported(table.entries["type"].place, f"{kind!r}; use bind, volume or tmpfs")
        elif kind is not None and kind not in ("bind", "volume", "tmpfs"):
            self._reader.problems.wrong(table.entries["type"].place, "must be bind, volume or tmpfs", kind)
        if kind not in ("bind", "volume", "tmpfs") or target is None:
            return None
        for key in {"bind", "volume", "tmpfs", "image"} - {kind}:
            if table.get(key) is not None:
                self._reader.problems.wrong(table.entries[key].place, f"is for another type of mount than {kind}")
        made = self._of_kind(kind, target, item, table, options)
        if made is not None and self._reader.boolean(table.get("read_only")):
            made["read_only"] = True
        return made

    def _of_kind(self, kind: str, target: str, item: Table, table: Table, options: Options) -> dict[str, Any] | None:
        given = table.get("source")
        source = self._reader.filled(given)
        if kind == "tmpfs":
            words = self._tmpfs_words(self._reader.table(table.get("tmpfs"), TMPFS_OPTIONS))
            if given is not None:
                self._reader.problems.wrong(given.place, "a tmpfs has no source; leave it out")
            return {"type": "tmpfs", "target": target, "options": words}
        if kind == "volume":
            self._reader.table(table.get("volume"), VOLUME_OPTIONS)
            if given is None:
                return self._anonymous(target, options)
            found = self._volumes.use(source, given.place) if source else None
            path = self._path(found.source, given.place) if found and found.kind == "bind" else ""
            if found is None or path is None:
                return None
            return {"type": found.kind, "source": path or found.source, "target": target}
        if given is None:
            self._reader.problems.wrong(item.place, "has no source; name a path of the host")
        bind = self._reader.table(table.get("bind"), BIND)
        path = self._path(source, given.place) if source and given is not None else None
        if path is None:
            return None
        made = {"type": "bind", "source": path, "target": target}
        word = self._reader.one_of(bind.get("propagation"), _PROPAGATION)
        if word is not None:
            self._propagation(word, made, bind.entries["propagation"].place)
        return made

    def _tmpfs_words(self, table: Table) -> list[str]:
        size, mode = self._reader.size(table.get("size")), mode_of(table.get("mode"), self._reader)
        return [*([f"size={size}"] if size else []), *([f"mode={mode:o}"] if mode is not None else [])]


def mode_of(value: Value | None, reader: Reader) -> int | None:
    """Permissions: 0440 and 0o440 are octal, as is "440" in quotes; without a zero or quotes a number is decimal, which
    is how Compose reads YAML."""
    if value is None:
        return None
    text = value.text if isinstance(value, Scalar) else ""
    octal = _OCTAL.fullmatch(text)
    mode: int | None = None
    if octal:
        mode = int(octal[1], 8)
    elif isinstance(value, Scalar) and value.kind == INTEGER and re.fullmatch(r"[0-9]{1,5}", text):
        mode = int(text)
    elif _DIGITS.fullmatch(text):
        mode = int(text, 8)
    if mode is None or mode > 0o7777:
        reader.problems.wrong(value.place, "write permissions in octal digits, such as 0440", text)
        return None
    return mode
