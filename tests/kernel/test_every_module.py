# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module promises, on the real kernel: check mode tells the truth and changes nothing, twice is once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import collection

from . import leaks, state
from .cases import CASES, EVENTS, Case
from .module_process import run_module

Result = dict[str, Any]
#: Keys of results that are Ansible's own.
ANSIBLES = {"changed", "diff", "invocation", "warnings", "deprecations"}


def filled(params: Any, tmp: Path) -> Any:
    """The parameters with {tmp} replaced, at any depth."""
    return json.loads(json.dumps(params).replace("{tmp}", str(tmp)))


def call(module: str, params: Result, check: bool = False) -> Result:
    result = run_module(module, params, check)
    assert not result.get("failed"), result["msg"]
    return result


def checked(case: Case, params: Result, tmp: Path) -> Result:
    """Check mode: a prediction, and the host exactly as it was."""
    before = state.take(tmp)
    result = call(case.module, params, check=True)
    assert state.differences(before, state.take(tmp)) == []
    return result


def applied(case: Case, params: Result, tmp: Path) -> Result:
    """Check, apply, apply again: the same actions, the predicted state, and then nothing."""
    predicted = checked(case, params, tmp)
    result = call(case.module, params)
    assert result["changed"] and result["actions"]
    assert predicted["changed"] and predicted["actions"] == result["actions"]
    assert predicted["changes"] == result["changes"]
    assert predicted["diff"] == result["diff"]
    again = call(case.module, params)
    assert again["actions"] == [] and not again["changed"] and again["changes"] == []
    assert again["diff"]["before"] == again["diff"]["after"] == result["diff"]["after"]
    assert checked(case, params, tmp)["actions"] == []
    return result


@pytest.fixture(params=CASES, ids=lambda case: case.name or case.module)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """A case within what it needs; whatever happens, its object is removed."""
    with request.param.around(tmp_path):
        yield request.param
        run_module(request.param.module, filled(request.param.remove, tmp_path))


def test_create_change_remove(case: Case, tmp_path: Path) -> None:
    clean = leaks.take()
    created = applied(case, filled(case.create, tmp_path), tmp_path)
    assert created["diff"]["before"] == "" and created["changes"] == []
    assert undocumented(case.module, created) == []
    if f"{case.module}_info" in collection.info_modules():
        info_as_documented(f"{case.module}_info", filled(case.info, tmp_path))
    if case.change:
        changed = applied(case, filled(case.change, tmp_path), tmp_path)
        assert {change["option"]: change["how"] for change in changed["changes"]} == case.changed
    removed = applied(case, filled(case.remove, tmp_path), tmp_path)
    assert removed["diff"]["after"] == "" and removed["changes"] == []
    assert leaks.leaked_since(clean) == []


#: Records that are documents of the OCI, with a version of theirs, and caches.
NOT_OURS = ("index.json", "config.json", "oci-layout")
#: What is written as a whole whenever it changes: of a process, a mount, a layer, or derived from container.json.
WRITTEN_ANEW = ("launch.json", "state.json", "layer.json", "overlay-*.json")
#: Records that a module does not read: those of other modules' objects, and of the runtime, which reads its own.
NOT_READ = {"ns_container": ("*/layer.json", "*/sysctls.json", "*/nsrun/*/state.json")}


def records() -> list[Path]:
    """Every record of ours on this host."""
    roots = (Path("/var/lib/barekernel"), Path("/run/barekernel"))
    found = (path for root in roots for path in sorted(root.rglob("*.json")) if "fs" not in path.parts)
    return [path for path in found if path.name not in NOT_OURS and "lib" not in path.parts[4:5]]


def test_records_of_newer_versions(case: Case, tmp_path: Path) -> None:
    """A field more is kept and is no difference; a version more is an error that says so, and what to do."""
    create, change = filled(case.create, tmp_path), filled(case.change, tmp_path)
    call(case.module, create)
    marked = [path for path in records() if path.name != "launch.json"]  # compared to the letter
    for path in marked:
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "of_tomorrow": [1]}, indent=1, sort_keys="boot_id" not in record) + "\n")
    assert call(case.module, create)["actions"] == []
    call(case.module, change)
    kept = [path for path in marked if not any(map(path.match, WRITTEN_ANEW))]
    assert [path for path in kept if path.exists() and json.loads(path.read_text()).get("of_tomorrow") != [1]] == []
    for path in records():
        text = path.read_text()
        key = "format" if "nsrun" in path.parts else "version"
        assert json.loads(text)[key] == 1, path
        if any(map(path.match, NOT_READ.get(case.module, ()))):
            continue
        path.write_text(json.dumps({**json.loads(text), key: 99}))
        result = run_module(case.module, change)
        path.write_text(text)
        assert result.get("failed") and "has version 99" in result["msg"] and "use the version" in result["msg"], path
        assert str(path) in result["msg"]
    assert call(case.module, change)["actions"] == []


def test_unknown_options_are_refused(case: Case, tmp_path: Path) -> None:
    before = state.take(tmp_path)
    result = run_module(case.module, {**filled(case.create, tmp_path), "no_such_option": 1})
    assert result["failed"] and "no_such_option" in result["msg"]
    assert state.differences(before, state.take(tmp_path)) == []


@pytest.mark.parametrize("module", collection.changing_modules())
def test_there_is_a_case_for(module: str) -> None:
    if module in EVENTS:
        assert (collection.CHECKOUT / EVENTS[module]).exists()
    else:
        assert [case for case in CASES if case.module == module], f"add a case for {module} to tests/kernel/cases.py"


@pytest.mark.parametrize("module", collection.info_modules())
def test_info_where_there_is_nothing(module: str, tmp_path: Path) -> None:
    params = next((filled(case.info, tmp_path) for case in CASES if module == f"{case.module}_info"), {})
    info_as_documented(module, params)


def info_as_documented(module: str, params: Result) -> None:
    """The module changes nothing and returns what it says it does."""
    before = state.take()
    result = call(module, params, check=True)
    assert state.differences(before, state.take()) == []
    assert result["changed"] is False
    assert undocumented(module, result) == []
    documented = yaml.safe_load(collection.module_strings(module)["RETURN"])
    assert {key for key, entry in documented.items() if entry["returned"] in ("always", "success")} <= set(result)


def undocumented(module: str, result: Result) -> list[str]:
    """What RETURN does not name of a result, at any depth that it describes, or names with another type or shape."""
    own = {key: value for key, value in result.items() if key not in ANSIBLES}
    documented = yaml.safe_load(collection.module_strings(module)["RETURN"])
    return sorted([*_unknown(own, documented, ""), *_unlike(own, documented, "")])


TYPES: dict[str, Any] = {"str": str, "int": int, "bool": bool, "float": (int, float), "list": list, "dict": dict}


def _unlike(value: Result, documented: Result, path: str) -> Iterator[str]:
    """What is of another type than documented, null where that is not said, or not what the sample shows."""
    for key, inner in value.items():
        entry = documented.get(key) or {"type": "raw"}
        if inner is None:
            if "null" not in str(entry["description"]):
                yield f"{path}{key} is null"
        elif entry["type"] != "raw":
            yield from _of_type(inner, entry, path + key)
            if "sample" in entry:
                yield from _sampled(entry["sample"], inner, path + key)


def _of_type(value: Any, entry: Result, path: str) -> Iterator[str]:
    if not isinstance(value, TYPES[entry["type"]]) or isinstance(value, bool) is not (entry["type"] == "bool"):
        yield f"{path} is {value!r}, not {entry['type']}"
    for item in value if isinstance(value, list) else [value]:
        if isinstance(value, list) and entry["elements"] != "raw" and not isinstance(item, TYPES[entry["elements"]]):
            yield f"{path} has {item!r}, not {entry['elements']}"
        if isinstance(item, dict):
            yield from _unlike(item, entry.get("contains") or {}, path + ".")


def _sampled(sample: Any, value: Any, path: str) -> Iterator[str]:
    """Where both have a value, it is of one kind: what is in lists, and under the same keys."""
    if isinstance(sample, dict) and isinstance(value, dict):
        for key in {*sample} & {*value}:
            yield from _sampled(sample[key], value[key], f"{path}.{key}")
    elif isinstance(sample, list) and isinstance(value, list):
        for one, other in zip(sample, value):
            yield from _sampled(one, other, path)
    elif value is not None and sample is not None and {type(value), type(sample)} not in ({int, float}, {type(value)}):
        yield f"{path} is {value!r}, and the sample {sample!r}"


def _unknown(value: Any, documented: Result, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _unknown(item, documented, path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in documented:
                yield path + key
            elif documented[key].get("contains"):
                yield from _unknown(inner, documented[key]["contains"], f"{path}{key}.")
