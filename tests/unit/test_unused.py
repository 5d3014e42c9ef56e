# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing is kept that only tests use: a function or class that nothing else in plugins/ names, and a field that none
reads."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import collection

PLUGINS = collection.CHECKOUT / "plugins"
#: Found by Ansible, or by the name of a command.
BY_NAME = ("plugins/action/", "plugins/doc_fragments/", "plugins/filter/", "plugins/module_utils/_runtime/command/")
#: What is for tests in the code itself, and results whose fields are returned as a whole.
KNOWN = {"forget_all", "Pressure.avg10", "Pressure.avg60", "Pressure.avg300", "Pressure.total"}
KNOWN |= {"CgroupUsage.usage", "CgroupUsage.events", "CgroupUsage.pressure", "Feature.available"}


def names_in(tree: ast.Module) -> Iterator[str]:
    """Every name that is read, imported, or spelled out as a string for getattr()."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and isinstance(node.ctx, ast.Load):
            yield node.attr if isinstance(node, ast.Attribute) else node.id
        elif isinstance(node, ast.alias):
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def defined_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Top-level functions and classes, and the fields and methods of these, each by itself and in full."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name, node.name
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                yield inner.target.id, f"{node.name}.{inner.target.id}"
            elif isinstance(inner, ast.FunctionDef) and not inner.name.startswith("__"):
                yield inner.name, f"{node.name}.{inner.name}"


@pytest.mark.once
def test_everything_is_used() -> None:
    files = [path for path in PLUGINS.rglob("*.py") if path.name not in ("closure.py", "shipped.py")]
    trees = {path: ast.parse(path.read_text()) for path in files}
    used = Counter(name for tree in trees.values() for name in names_in(tree))
    defined = [(path, *found) for path, tree in trees.items() if not found_by_name(path) for found in defined_in(tree)]
    unused = {full for _path, name, full in defined if not used[name]}
    assert sorted(unused - KNOWN) == []
    assert {full for _path, _name, full in defined} >= KNOWN, "take out of KNOWN what is gone"


def found_by_name(path: Path) -> bool:
    return str(path.relative_to(collection.CHECKOUT)).startswith(BY_NAME)
