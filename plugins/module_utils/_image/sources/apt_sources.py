# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's own apt sources, sources.list(5): one-line and deb822 files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

_DIRECTORY = "/etc/apt"


@dataclass(frozen=True)
class Entry:
    """One repository and suite."""

    uri: str
    suite: str
    components: tuple[str, ...]

    def one_line(self) -> str:
        return " ".join(["deb", self.uri, self.suite, *self.components])


def for_suite(suite: str, directory: str = _DIRECTORY) -> tuple[Entry, ...]:
    """What apt knows of a suite, its updates and its security fixes; signing keys are the caller's to choose."""
    wanted = {suite, f"{suite}-updates", f"{suite}-security", f"{suite}/updates"}
    return tuple(dict.fromkeys(entry for entry in _all(directory) if entry.suite in wanted))


def _all(directory: str) -> Iterator[Entry]:
    paths = [f"{directory}/sources.list"]
    parts = f"{directory}/sources.list.d"
    paths += [f"{parts}/{name}" for name in sorted(os.listdir(parts))] if os.path.isdir(parts) else []
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                text = handle.read()
        except OSError:
            continue  # apt would not get further either
        if path.endswith(".sources"):
            yield from _deb822(text)
        elif path.endswith(".list"):
            yield from _one_line(text)


def _one_line(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if not words or words[0] != "deb":
            continue
        if len(words) > 1 and words[1].startswith("["):
            while words and not words[1].endswith("]"):
                del words[1]
            del words[1]
        if len(words) > 2:
            yield Entry(words[1], words[2], tuple(words[3:]))


def _deb822(text: str) -> Iterator[Entry]:
    for stanza in _stanzas(text):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield Entry(uri, suite, tuple(stanza.get("components", "").split()))


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, name = {}, ""
        elif line[0] in " \t":
            stanza[name] = stanza.get(name, "") + " " + line.strip()
        else:
            name, _colon, value = line.partition(":")
            name = name.strip().lower()
            stanza[name] = value.strip()
