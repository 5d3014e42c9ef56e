# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection contains, read from the checkout: every generic test takes its list from here."""

from __future__ import annotations

import ast
import copy
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

CHECKOUT = Path(__file__).resolve().parent.parent
NAMESPACE = "barekernel.containers"
PLUGINS = f"ansible_collections.{NAMESPACE}.plugins"


def module_names() -> list[str]:
    """Every file of plugins/modules."""
    return sorted(path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py"))


def changing_modules() -> list[str]:
    """The modules that can change a host."""
    return [name for name in module_names() if not name.endswith("_info")]


def info_modules() -> list[str]:
    """The modules that only read."""
    return [name for name in module_names() if name.endswith("_info")]


def module_source(name: str) -> str:
    return (CHECKOUT / "plugins/modules" / f"{name}.py").read_text()


def module_strings(name: str) -> dict[str, str]:
    """The module's DOCUMENTATION, EXAMPLES and RETURN, without importing it."""
    return {
        node.targets[0].id: node.value.value
        for node in ast.parse(module_source(name)).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def documentation(name: str) -> dict[str, Any]:
    """The module's documentation with its fragments merged in, as ansible-doc does it (the module's own text wins)."""
    own: dict[str, Any] = yaml.safe_load(module_strings(name)["DOCUMENTATION"])
    fragments = own.get("extends_documentation_fragment") or []
    for fragment in [fragments] if isinstance(fragments, str) else fragments:
        for section, content in yaml.safe_load(fragment_text(fragment)).items():
            if isinstance(content, dict):
                own[section] = {**copy.deepcopy(content), **(own.get(section) or {})}
            elif isinstance(content, list):
                own[section] = [*content, *(own.get(section) or [])]
    return own


def fragment_text(reference: str) -> str:
    """The text of a fragment of this collection, by the name modules give it: barekernel.containers.FILE[.PART]."""
    assert reference.startswith(NAMESPACE + "."), f"{reference} is not a fragment of this collection"
    file_name, _dot, part = reference[len(NAMESPACE) + 1 :].partition(".")
    fragment = importlib.import_module(f"{PLUGINS}.doc_fragments.{file_name}").ModuleDocFragment
    text: str = getattr(fragment, part.upper() or "DOCUMENTATION")
    return text


class _Captured(Exception):
    """Carries what a module passed to AnsibleModule."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__("captured")
        self.arguments = arguments


def module_arguments(name: str) -> dict[str, Any]:
    """What the module passes to AnsibleModule (argument_spec, mutually_exclusive, ...), read by running its main()."""

    def capture(_self: AnsibleModule, **arguments: Any) -> None:
        raise _Captured(arguments)

    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    with mock.patch.object(AnsibleModule, "__init__", capture):
        try:
            module.main()
        except _Captured as captured:
            return captured.arguments
    raise AssertionError(f"{name}: main() never makes an AnsibleModule")


def runs_by(module: Any) -> str:
    """Which of the runner's functions the module calls."""
    return next(name for name in ("run", "run_info", "run_many") if hasattr(module, name))


def module_resource(name: str) -> Any:
    """The resource that the module hands to the runner."""
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    with mock.patch.object(module, runs_by(module)) as run:
        module.main()
    return run.call_args.args[0]


def module_internal(name: str) -> Mapping[str, Any]:
    """The spec of the parameters that no playbook gives."""
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    with mock.patch.object(module, runs_by(module)) as run:
        module.main()
    return run.call_args.kwargs.get("internal") or {}


def full_params(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with all defaults filled in, as the module gets them."""
    validated = ArgumentSpecValidator(module_arguments(name)["argument_spec"]).validate(dict(params))
    assert not validated.error_messages, validated.error_messages
    filled: dict[str, Any] = validated.validated_parameters
    return filled


def examples(name: str) -> list[Mapping[str, Any]]:
    """The module's documented tasks."""
    return yaml.safe_load(module_strings(name)["EXAMPLES"]) or []
