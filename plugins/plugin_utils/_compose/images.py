# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``image``, ``platform``, ``pull_policy`` and ``healthcheck`` of services, as options of oci_image.

Compose Specification, services, "image", "pull_policy", "healthcheck". A health check belongs to an image here, so a
service with one of its own runs a further image: the same layers with another configuration.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from ...module_utils._image.format import reference
from .errors import Place
from .keys import HEALTHCHECK
from .options import Options
from .reading import Reader
from .values import Scalar, Table, Value

#: ``pull_policy`` to ``pull``, the weakest first: services that share an image get the strongest.
_PULL = {"never": "never", "missing": "missing", "if_not_present": "missing", "always": "always"}
_STRENGTH = ("never", "missing", "always")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_MILLISECOND = 1_000_000
_TIMES = ("interval", "timeout", "start_period", "start_interval")


class Images:
    """The images of all services, each once."""

    def __init__(self, project: str, reader: Reader) -> None:
        self._project, self._reader = project, reader
        self._pulled: dict[str, Options] = {}
        self._pulls: dict[str, tuple[str | None, Place]] = {}
        self._derived: list[Options] = []

    def declared(self) -> list[Options]:
        """Those from registries first, then what is made of them."""
        return [*self._pulled.values(), *self._derived]

    def of(self, service: str, table: Table) -> tuple[str, Place] | None:
        """The name of the image that a service runs, and its place."""
        value = table.get("image")
        if value is None:
            if table.get("image") is None:
                self._reader.problems.wrong(table.place, "has no image; name one in image")
            self._healthcheck(table.get("healthcheck"))
            return None
        name = self._reader.filled(value)
        check = self._healthcheck(table.get("healthcheck"))
        if name is None:
            return None
        try:
            full = str(reference.parse(name))
        except reference.BadReference as error:
            self._reader.problems.wrong(value.place, error.reason, name)
            return None
        self._add(full, name, value.place, table)
        written = str(self._pulled[full].values["name"])
        if check is None:
            return written, value.place
        place = table.entries["healthcheck"].place
        derived = f"localhost/{self._repository(service)}"
        self._derived.append(Options(place, name=derived, image=written, config={"healthcheck": check}))
        return derived, value.place

    def _repository(self, service: str) -> str:
        """PROJECT-SERVICE, as Compose names what it builds; with a digest where that is no name of an image."""
        name = f"{self._project}-{service}"
        if _REPOSITORY.fullmatch(name):
            return name
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "service"
        return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"

    def _add(self, full: str, name: str, place: Place, table: Table) -> None:
        options = self._pulled.setdefault(full, Options(place, name=name))
        pull = self._policy(table.get("pull_policy"))
        if pull is not None:
            there = str(options.values.get("pull", "never"))
            options.set("pull", max(there, pull, key=_STRENGTH.index), table.entries["pull_policy"].place)
        given = table.get("platform")
        platform = self._reader.optional(given)
        where = place if given is None else given.place
        asked, _place = self._pulls.setdefault(full, (platform, where))
        if asked != platform:
            why = f"another service asks for this image for {asked or 'the platform of the host'}; a name has one"
            self._reader.problems.wrong(where, why, platform or "")
        if platform is not None:
            options.set("registry", {"platform": platform}, where)

    def _policy(self, value: Value | None) -> str | None:
        found = self._reader.optional(value)
        if found is None or value is None:
            return None
        if found not in _PULL:
            known = f"write one of {', '.join(_PULL)}"
            timed = found in ("build", "refresh", "daily", "weekly") or found.startswith("every_")
            if timed:
                self._reader.problems.unsupported(value.place, f"{found!r}; {known}")
            else:
                self._reader.problems.wrong(value.place, known, found)
            return None
        return _PULL[found]

    def _healthcheck(self, value: Value | None) -> dict[str, Any] | None:
        """``config.healthcheck`` of oci_image; None where the image's own check stays."""
        table = self._reader.table(value, HEALTHCHECK)
        if value is None or not table.entries:
            return None
        if self._reader.boolean(table.get("disable")):
            return {"test": ["NONE"]}
        test = self._test(table.get("test"))
        check: dict[str, Any] = {"test": test}
        for key in _TIMES:
            time = self._reader.nanoseconds(table.get(key))
            if time and time < _MILLISECOND:
                self._reader.problems.wrong(table.entries[key].place, "must be at least 1ms")
            elif time:
                check[key] = _written(time)
        retries = self._reader.integer(table.get("retries"), 0, 1 << 31)
        if retries:
            check["retries"] = retries
        if test is None and table.get("test") is None:
            self._reader.problems.unsupported(value.place, "a check without test; the image's command cannot be kept")
        return None if test is None else check

    def _test(self, value: Value | None) -> list[str] | None:
        """A text is for a shell; a list begins with what it is."""
        if value is None:
            return None
        if isinstance(value, Scalar):
            text = self._reader.filled(value)
            return None if text is None else ["CMD-SHELL", text]
        words = [text for text, _place in self._reader.texts(value)]
        fits = {"NONE": len(words) == 1, "CMD": len(words) > 1, "CMD-SHELL": len(words) == 2}
        if not fits.get(words[0] if words else "", False):
            known = "write [CMD, PROGRAM, ARGUMENT...], [CMD-SHELL, LINE], [NONE], or one line for a shell"
            self._reader.problems.wrong(value.place, known, words)
            return None
        return words


def _written(nanoseconds: int) -> str:
    """A time as oci_image takes it, to the millisecond."""
    milliseconds = nanoseconds // _MILLISECOND
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
