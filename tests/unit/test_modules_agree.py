# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation, argument spec, attributes, examples and return values of every module agree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from tests import collection, returns

pytestmark = pytest.mark.once

MODULES = collection.module_names()
#: ArgumentSpecValidator's parameters beside argument_spec.
RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
TEMPLATE = re.compile(r"{{.*}}", re.DOTALL)


def option_pairs(
    documented: Mapping[str, Any], specified: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Every option by its full name with what is documented and what is specified, into suboptions."""
    for name in sorted({*documented, *specified}):
        doc, spec = documented.get(name), specified.get(name)
        assert doc is not None, f"{path}{name} is accepted but not documented"
        assert spec is not None, f"{path}{name} is documented but not accepted"
        yield path + name, doc, spec
        yield from option_pairs(doc.get("suboptions") or {}, spec.get("options") or {}, f"{path}{name}.")


def described(option: Mapping[str, Any]) -> dict[str, Any]:
    """What both sides say of an option, in one form."""
    return {
        "type": option.get("type", "str"),
        "elements": option.get("elements"),
        "required": bool(option.get("required", False)),
        "default": option.get("default"),
        "choices": sorted(map(str, option.get("choices") or [])),
        "aliases": sorted(option.get("aliases") or []),
    }


@pytest.mark.parametrize("name", MODULES)
def test_options_are_documented_as_they_are_accepted(name: str) -> None:
    doc, arguments = collection.documentation(name), collection.module_arguments(name)
    for path, documented, specified in option_pairs(doc.get("options") or {}, arguments.get("argument_spec") or {}):
        assert described(documented) == described(specified), f"{name}: {path}"
        assert documented.get("description"), f"{name}: {path} has no description"


@pytest.mark.parametrize("name", MODULES)
def test_what_no_playbook_gives_is_no_option(name: str) -> None:
    """It is neither documented nor accepted as one, and its name is in no text of the documentation."""
    internal, options = collection.module_internal(name), collection.documentation(name).get("options") or {}
    assert not {*internal} & {*options}
    assert not {*internal} & {*(collection.module_arguments(name).get("argument_spec") or {})}
    for option in internal:
        assert not re.search(rf"\b{option}\b", str(collection.documentation(name)))


def test_there_are_such_parameters() -> None:
    found = {name: sorted(spec) for name in MODULES if (spec := collection.module_internal(name))}
    assert found == {
        "oci_image": ["hand_out", "handed_over", "progress_file"],
        "stack": ["files", "handed_over", "progress_file"],
    }


@pytest.mark.parametrize("name", MODULES)
def test_header_and_attributes(name: str) -> None:
    doc = collection.documentation(name)
    assert doc["module"] == name
    assert doc["short_description"] and doc["description"] and doc["author"] and doc["version_added"]
    assert collection.module_arguments(name)["supports_check_mode"] is True
    attributes = doc["attributes"]
    assert set(attributes) >= {"check_mode", "diff_mode", "platform"}
    wanted = {"check_mode": "full", "diff_mode": "N/A" if name.endswith("_info") else "full"}
    for attribute, support in wanted.items():
        # What is promised in part says which part.
        if "details" not in attributes[attribute]:
            assert attributes[attribute]["support"] == support
    assert attributes["platform"]["platforms"] == "Linux"


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_accepted(name: str) -> None:
    arguments = collection.module_arguments(name)
    spec = arguments.get("argument_spec") or {}
    rules = {rule: arguments[rule] for rule in RULES if rule in arguments}
    tasks = [task for task in collection.examples(name) if f"{collection.NAMESPACE}.{name}" in task]
    assert tasks, f"{name}: no example calls {collection.NAMESPACE}.{name}"
    for task in tasks:
        given = resolved(task[f"{collection.NAMESPACE}.{name}"] or {}, spec)
        errors = ArgumentSpecValidator(spec, **rules).validate(given).error_messages
        assert task.get("name"), f"{name}: an example has no name"
        assert not errors, f"{name}: {task['name']}: {errors}"


def resolved(value: Any, spec: Mapping[str, Any]) -> Any:
    """The parameters with each template replaced by some value of its option's type."""
    answer = {}
    for name, given in value.items():
        option: Mapping[str, Any] = spec.get(name, {})
        inner = option.get("options") or {}
        if isinstance(given, str) and TEMPLATE.search(given):
            answer[name] = sample(option)
        elif inner and isinstance(given, dict):
            answer[name] = resolved(given, inner)
        elif inner and isinstance(given, list):
            answer[name] = [resolved(item, inner) if isinstance(item, dict) else item for item in given]
        else:
            answer[name] = given
    return answer


def sample(option: Mapping[str, Any]) -> Any:
    if option.get("choices"):
        return option["choices"][0]
    return {"int": 1, "bool": True, "float": 1.0, "list": [], "dict": {}}.get(option.get("type", "str"), "x")


@pytest.mark.parametrize("name", MODULES)
def test_return_values_are_documented(name: str) -> None:
    returned = yaml.safe_load(collection.module_strings(name)["RETURN"])
    assert returned, f"{name}: RETURN is empty"
    for key, entry in returned.items():
        assert entry.get("description") and entry.get("type") and entry.get("returned"), f"{name}: {key}"
    if not name.endswith("_info"):
        assert {"actions", "changes"} <= set(returned), f"{name}: actions and changes are what every module returns"


def test_what_modules_return_alike_is_described_once() -> None:
    assert {path: path.read_text() for path in returns.texts()} == returns.texts(), "run tools/returns"


def test_blocks_of_return_texts() -> None:
    source = returns.Block(["a:", "  type: str", "c: 1", "e:", "  contains:", "    x: 1"])
    own = returns.Block(["a:", "  type: int", "b:", "  type: dict", "e:", "  contains:", "    y: 2", "f: 3"])
    own.take(source)
    expected = ["a:", "  type: str", "b:", "  type: dict", "c: 1", "e:", "  contains:", "    x: 1", "    y: 2", "f: 3"]
    assert own.lines() == expected
