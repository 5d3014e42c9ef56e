# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Top-level ``volumes``, as what a mount of ns_container names. Compose Specification, 07-volumes.md."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import Place
from .keys import EXTERNAL, VOLUME
from .reading import Reader
from .values import Table, Value


@dataclass(frozen=True)
class Volume:
    """``source`` of a mount of that ``kind``: volume, or bind for a directory of the host by the driver's options."""

    kind: str
    source: str


class Volumes:
    """Every volume that the file declares."""

    def __init__(self, project: str, declared: Value | None, reader: Reader) -> None:
        self._project, self._reader = project, reader
        self._found = {key: self._volume(key, value) for key, value in reader.entries(declared)}

    def use(self, key: str, place: Place) -> Volume | None:
        """The volume that a service mounts; None where the file has none of that name."""
        found = self._found.get(key)
        if found is None:
            hint = f"add {key}: to volumes at the top, or write ./{key} or /{key} to mean a path"
            self._reader.problems.wrong(place, f"is not declared in volumes; {hint}", key)
        return found

    def _volume(self, key: str, value: Value) -> Volume:
        table = self._reader.table(value, VOLUME)
        name = self._reader.filled(table.get("name"))
        external = table.get("external")
        if isinstance(external, Table):
            other = self._reader.filled(self._reader.table(external, EXTERNAL).get("name"))
            return Volume("volume", name or other or key)
        if external is not None and self._reader.boolean(external):
            return Volume("volume", name or key)
        driver = table.get("driver")
        if driver is not None and self._reader.text(driver) not in ("local", "", None):
            self._reader.problems.unsupported(driver.place, "a volume is a directory of the host")
        return self._of_options(table.get("driver_opts")) or Volume("volume", name or f"{self._project}_{key}")

    def _of_options(self, value: Value | None) -> Volume | None:
        """A directory of the host, which is what ``type: none, o: bind, device: PATH`` of the local driver means."""
        given = {key: self._reader.text(inner) for key, inner in self._reader.entries(value)}
        if value is None or not given:
            return None
        is_bind = given.get("type") in ("none", "bind") and given.get("o") in ("bind", "rbind")
        if set(given) == {"type", "o", "device"} and is_bind:
            return Volume("bind", given["device"] or "")
        self._reader.problems.unsupported(value.place, "only type: none, o: bind and device: PATH, a bind mount")
        return None
