# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an option of ns_container is declared: once, on the field of the record that keeps it.

Argument spec, parser, bundle, diff, the names that errors of a runtime get, and the keys of a Compose file are derived
from that. What people read is written by hand, in plugins/doc_fragments/container.py; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .._core.operation import RESTART

#: The option's name and its value, which is never None, to what the record keeps. Raises OptionError.
Parse = Callable[[str, Any], Any]
_KEY = "option"


@dataclass(frozen=True)
class Option:
    """One option.

    ``argument`` is Ansible's argument spec of it, without suboptions. ``parse`` is None for one that is understood only
    beside others: options.py does that. ``how`` a change of it is applied: LIVE, RESTART or RECREATE. ``place`` is
    where its value is in the container's documents, such as ``config.process.cwd`` or ``launch.stop.timeout``; with
    ``as_is`` it is written there as the record keeps it, and left out where that is None. ``needs`` is the kind of
    namespace that the container must have for itself. ``compose`` is the key of a Compose file's service that holds the
    same value. ``of_task``: it says what to do now, and no record keeps it.
    """

    argument: Mapping[str, Any]
    parse: Parse | None
    how: str
    place: str
    as_is: bool
    needs: str
    compose: str
    of_task: bool


def declared(
    kind: str,
    parse: Parse | None,
    *,
    how: str = RESTART,
    place: str = "",
    as_is: bool = False,
    needs: str = "",
    compose: str = "",
    of_task: bool = False,
    **argument: Any,
) -> Mapping[str, Option]:
    """The metadata of a field: see Option. ``kind`` is Ansible's type; ``argument`` what else its spec says."""
    elements = {"elements": "str"} if kind == "list" else {}
    spec = {"type": kind, **elements, **argument}
    return {_KEY: Option(spec, parse, how, place, as_is, needs, compose, of_task)}


def option(unset: Any, kind: str, parse: Parse | None, **known: Any) -> Any:
    """A field of a dataclass that keeps an option, and has ``unset`` where it is not given.

    That is the argument spec's default too, unless it is None or empty, or ``known`` spells it in another way.
    """
    if unset not in (None, (), {}):
        known = {"default": unset, **known}
    metadata = declared(kind, parse, **known)
    how: dict[str, Any] = {"default_factory": dict} if unset == {} else {"default": unset}
    return field(**how, metadata=metadata)  # pylint: disable=invalid-field-call


def options_of(record: type) -> dict[str, Option]:
    """Every option that a record keeps, by its name."""
    return {each.name: each.metadata[_KEY] for each in fields(record) if _KEY in each.metadata}


def value_at(documents: Mapping[str, Any], place: str) -> Any:
    """What a container's documents have at a place; None where there is nothing."""
    found: Any = documents
    for step in place.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def write_as_is(document: dict[str, Any], prefix: str, record: Any, known: Mapping[str, Option]) -> None:
    """Put every option that is written as it is, and whose place begins with ``prefix``, where it belongs."""
    for name, each in known.items():
        value = getattr(record, name)
        if not each.as_is or value is None or not each.place.startswith(prefix + "."):
            continue
        *steps, last = each.place[len(prefix) + 1 :].split(".")
        inside = document
        for step in steps:
            inside = inside.setdefault(step, {})
        inside[last] = dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
