# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``secrets`` and ``configs``: files of the controller that containers read.

Compose Specification, 08-configs.md, 09-secrets.md, and services, "configs" and "secrets". What is in them is read on
the controller, written to a file of the host that root alone gets at, and mounted read-only.
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...module_utils._kernel import locations
from .errors import Place
from .keys import CONFIG, SECRET, SECRET_USE, Section
from .mounts import mode_of
from .options import Options
from .project import Read
from .reading import Reader
from .values import Scalar, Table, Value

#: Where the host has them, a directory a project.
DIRECTORY = locations.STATE + "/secrets"
#: Whoever gets to the file may read it, as the specification says; nobody gets to its directory but root.
_MODE = 0o444
_SOURCES = ("file", "environment", "content")


@dataclass(frozen=True)
class Kind:
    """``secrets`` or ``configs``."""

    word: str
    section: Section
    directory: str


SECRETS = Kind("secret", SECRET, "/run/secrets")
CONFIGS = Kind("config", CONFIG, "")


class Files:
    """Those of one kind that the file declares; what a service mounts is written to the host."""

    def __init__(
        self,
        kind: Kind,
        project: str,
        declared: Value | None,
        variables: Mapping[str, str],
        read: Read,
        reader: Reader,
    ) -> None:
        self._kind, self._project, self._variables, self._read, self._reader = kind, project, variables, read, reader
        self._declared = {key: reader.table(value, kind.section) for key, value in reader.entries(declared)}
        self._places = {key: value.place for key, value in reader.entries(declared)}
        self._contents: dict[str, bytes | None] = {}
        self._written: dict[str, dict[str, Any]] = {}

    def add(self, value: Value | None, options: Options) -> None:
        """Mount what a service names."""
        for item in self._reader.items(value):
            if isinstance(item, Table):
                self._use(self._reader.table(item, SECRET_USE), item.place, options)
            else:
                self._use(Table(item.place, {"source": item}), item.place, options)

    def written(self) -> list[dict[str, Any]]:
        """``path``, ``content`` (in Base64, as it may be any bytes), ``mode``, ``uid`` and ``gid`` of each file."""
        return list(self._written.values())

    def _use(self, table: Table, place: Place, options: Options) -> None:
        source = self._reader.filled(table.get("source"))
        if source is None or source not in self._declared:
            if source is not None:
                self._reader.problems.wrong(place, f"is not declared in {self._kind.word}s at the top", source)
            elif table.get("source") is None:
                self._reader.problems.wrong(place, f"has no source; name a {self._kind.word}")
            return
        target = self._reader.filled(table.get("target")) or source
        content = self._content(source)
        mode = mode_of(table.get("mode"), self._reader)
        uid, gid = (self._reader.integer(table.get(key), 0, (1 << 32) - 2) for key in ("uid", "gid"))
        if content is None:
            return
        default = mode in (None, _MODE) and not uid and not gid
        owned = "" if default else f".{uid or 0}.{gid or 0}.{mode if mode is not None else _MODE:o}"
        path = f"{DIRECTORY}/{self._project}/{self._kind.word}.{source.replace('/', '_')}{owned}"
        self._written[path] = {
            "path": path,
            "content": base64.b64encode(content).decode(),
            "mode": f"{_MODE if mode is None else mode:04o}",
            "uid": uid or 0,
            "gid": gid or 0,
        }
        mount = {"type": "bind", "source": path, "read_only": True}
        mount["target"] = posixpath.join(self._kind.directory or "/", target)
        if not default:  # the owner is one of the container's users
            mount["options"] = ["idmap"]
        options.add("mounts", mount, place)

    def _content(self, key: str) -> bytes | None:
        if key not in self._contents:
            self._contents[key] = self._found(key)
        return self._contents[key]

    def _found(self, key: str) -> bytes | None:
        """What is in it; no error shows any of that."""
        table, place = self._declared[key], self._places[key]
        given = [name for name in _SOURCES if table.get(name) is not None]
        if len(given) != 1:
            known = [name for name in _SOURCES if name in self._kind.section.read]
            self._reader.problems.wrong(place, f"needs one of {', '.join(known)}")
            return None
        value = table.entries[given[0]]
        if given[0] == "content":
            inline = value.text if isinstance(value, Scalar) else None
            if inline is None:
                self._reader.problems.wrong(value.place, "must be text")
            return None if inline is None else self._encoded(inline, value.place)
        named = self._reader.filled(value)
        if named is None:
            return None
        if given[0] == "file":
            return self._read(named, value.place, True)
        if named not in self._variables:
            self._reader.problems.wrong(value.place, "there is no such variable in the environment", named)
            return None
        return self._encoded(self._variables[named], value.place)

    def _encoded(self, text: str, place: Place) -> bytes | None:
        """As it was before os.fsdecode(), where it comes from the environment."""
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            self._reader.problems.wrong(place, "cannot be written as UTF-8")
            return None
