# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An option of ns_container is declared once, on the record's field: all else is derived, or compared here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._container import options, options_values
from ansible_collections.barekernel.containers.plugins.module_utils._container.bundle_options import option_names
from ansible_collections.barekernel.containers.plugins.module_utils._container.option import (
    option,
    options_of,
    value_at,
    write_as_is,
)
from ansible_collections.barekernel.containers.plugins.module_utils._container.records import (
    OPTIONS,
    UNDECLARED,
    Container,
)
from ansible_collections.barekernel.containers.plugins.module_utils._container.view import HOW
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._core.operation import LIVE, RECREATE, RESTART

from tests import collection

#: What the documentation says of a change.
SAID = {LIVE: "pplied live", RESTART: "pplied by restart", RECREATE: "pplied by recreation"}
#: Options whose change is applied to a container.
APPLIED = [name for name, each in OPTIONS.items() if not each.of_task and name not in ("name", "limits_required")]
#: Those that options.py understands beside others.
TOGETHER = {"mounts", "namespaces", "networks", "restart_policy", "sysctls"}


@dataclass(frozen=True)
class Invented:
    """A record with an option that nothing else knows."""

    kept: str = ""
    colour: int | None = option(None, "int", options_values.within(0, 7), place="config.process.colour", as_is=True)
    names: tuple[str, ...] = option((), "list", options_values.argv, place="launch.names", as_is=True)
    pairs: Mapping[str, str] = option({}, "dict", options_values.texts, place="config.pairs", as_is=True)
    depth: int = option(8 << 20, "str", options_values.size(4096, 1 << 40), default="8M")


def test_a_field_is_all_that_an_option_needs() -> None:
    known = options_of(Invented)
    assert {name: each.argument for name, each in known.items()} == {
        "colour": {"type": "int"},
        "names": {"type": "list", "elements": "str"},
        "pairs": {"type": "dict"},
        "depth": {"type": "str", "default": "8M"},
    }
    config: dict[str, Any] = {"process": {"cwd": "/"}}
    write_as_is(config, "config", Invented(colour=3, names=("a",), pairs={"b": "c"}), known)
    assert json.loads(json.dumps(config)) == {"process": {"cwd": "/", "colour": 3}, "pairs": {"b": "c"}}
    assert value_at({"config": config}, known["colour"].place) == 3
    launch: dict[str, Any] = {}
    write_as_is(launch, "launch", Invented(names=("a",)), known)
    assert launch == {"names": ["a"]}
    unset: dict[str, Any] = {}
    write_as_is(unset, "config", Invented(), known)
    assert unset == {"pairs": {}}
    assert value_at({"config": unset}, known["colour"].place) is None


def test_options_are_parsed_by_their_own_parser_or_beside_others() -> None:
    assert {name for name, each in OPTIONS.items() if each.parse is None} == TOGETHER


def test_an_option_whose_own_namespace_is_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where it is unset."""
    declared = {**OPTIONS, "hostname": field_of("hostname", needs="uts")}
    monkeypatch.setattr(options, "OPTIONS", declared)
    given = {"name": "web", "state": "started", "image": "x", "namespaces": {"uts": "host"}}
    assert options.container_from(given).hostname is None
    with pytest.raises(OptionError, match=r"hostname: 'a': needs a namespace .* namespaces.uts is host"):
        options.container_from({**given, "hostname": "a"})


def field_of(name: str, **changes: Any) -> Any:
    return type(OPTIONS[name])(**{**vars(OPTIONS[name]), **changes})


@pytest.mark.once
@pytest.mark.parametrize("name", APPLIED)
def test_the_documentation_says_how_a_change_is_applied(name: str) -> None:
    text = str(collection.documentation("ns_container")["options"][name]["description"])
    assert SAID[OPTIONS[name].how] in text
    assert HOW[name] == OPTIONS[name].how


@pytest.mark.parametrize("name", [name for name in APPLIED if "default" in OPTIONS[name].argument])
def test_unset_is_what_the_argument_spec_says(name: str) -> None:
    given = {"name": "web", "state": "present", "image": "x", name: OPTIONS[name].argument["default"]}
    assert getattr(options.container_from(given), name) == getattr(UNDECLARED, name)


def test_errors_of_a_runtime_name_options() -> None:
    places = option_names(Container("web", "started"), {"mounts": []})
    assert dict(places)["process.cwd"] == "cwd"
    assert dict(places)["linux.seccomp"] == "seccomp"
    assert {name.partition(".")[0] for _prop, name in places} <= set(OPTIONS)
    # Of two that begin alike the longer one is found first.
    assert [len(prop) for prop, _name in places] == sorted((len(prop) for prop, _name in places), reverse=True)


def test_every_place_is_in_a_document() -> None:
    assert {each.place.partition(".")[0] for each in OPTIONS.values()} == {"", "config", "launch"}
    assert all(each.place for each in OPTIONS.values() if each.as_is)
