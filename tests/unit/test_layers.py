# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arrows of docs/architecture.md: who may import whom."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
ROOT = "ansible_collections.barekernel.containers.plugins"

#: layer -> the layers it may import. "ansible" and "pyroute2" stand for themselves.
MAY_IMPORT = {
    "module_utils/_kernel": {"module_utils/_kernel", "pyroute2"},
    # Records and pure data of the layers that planners speak of; the test below keeps I/O out of planners.
    "module_utils/_plan": {
        "module_utils/_plan",
        "module_utils/_kernel",
        "module_utils/_image",
        "module_utils/_runtime",
    },
    "module_utils/_image": {"module_utils/_image", "module_utils/_kernel"},
    "module_utils/_runtime": {"module_utils/_runtime", "module_utils/_kernel"},
    "module_utils/_resource": {
        "module_utils/_resource",
        "module_utils/_plan",
        "module_utils/_kernel",
        "module_utils/_image",
        "module_utils/_runtime",
    },
    "module_utils/_module": {"module_utils/_module", "module_utils/_resource", "module_utils/_plan", "ansible"}
    | {"module_utils/_kernel"},  # its error type
    "modules": {"module_utils/_module", "module_utils/_resource", "ansible"},
    "doc_fragments": set(),
}
#: Modules with which a planner could do I/O, read the clock or depend on chance.
IMPURE = {"ctypes", "fcntl", "glob", "io", "random", "shutil", "socket", "subprocess", "tempfile", "time"}
#: What of the os module is a pure function.
PURE_OS = {"fsdecode", "fsencode", "fspath", "sep", "path"}
#: What ansible-test calls ansible-bad-function.
PROGRAMS = re.compile(
    r"subprocess\.(Popen|call|check_call|check_output|getoutput|getstatusoutput|run)"
    r"|os\.(popen|system|posix_spawnp?|spawn[lv]p?e?)|print"
)
PURE_OS_PATH = {"join", "dirname", "basename", "normpath", "isabs", "split", "splitext", "commonpath", "relpath"}


def layer_of(path: str) -> str:
    """A path below plugins/, or a dotted name below ROOT, as its layer."""
    parts = re.split(r"[/.]", path)
    return "/".join(parts[:2]) if parts[0] == "module_utils" else parts[0]


def imports(file: Path) -> Iterator[str]:
    """The full dotted name of each module that the file imports, at any depth."""
    package = [*ROOT.split("."), *file.relative_to(PLUGINS).parent.parts]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


FILES = [f for f in sorted(PLUGINS.rglob("*.py")) if layer_of(str(f.relative_to(PLUGINS))) in MAY_IMPORT]


def test_the_layers_exist() -> None:
    found = {layer_of(str(f.relative_to(PLUGINS))) for f in FILES}
    assert found >= {layer for layer in MAY_IMPORT if layer.startswith("module_utils")}


def test_only_the_runner_asks_whether_it_is_check_mode() -> None:
    nodes = ((file, node) for file in FILES for node in ast.walk(ast.parse(file.read_text())))
    asking = {file.name for file, node in nodes if isinstance(node, ast.Attribute) and node.attr == "check_mode"}
    assert asking == {"runner.py"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PLUGINS)))
def test_imports_follow_the_arrows(file: Path) -> None:
    layer = layer_of(str(file.relative_to(PLUGINS)))
    for name in imports(file):
        if name.startswith(ROOT + "."):
            target = layer_of(name[len(ROOT) + 1 :])
            assert target in MAY_IMPORT[layer], f"{layer} may not import {target} ({name})"
        elif name.split(".")[0] in ("ansible", "pyroute2"):
            assert name.split(".")[0] in MAY_IMPORT[layer], f"{layer} may not import {name}"


@pytest.mark.parametrize("file", [f for f in FILES if "_plan" in f.parts], ids=lambda f: f.name)
def test_planners_do_no_io(file: Path) -> None:
    assert not [name for name in imports(file) if name.split(".")[0] in IMPURE]
    called = [n.func.id for n in ast.walk(ast.parse(file.read_text())) if is_call_by_name(n)]
    assert "open" not in called and "print" not in called


@pytest.mark.parametrize("file", [f for f in FILES if "_plan" in f.parts], ids=lambda f: f.name)
def test_planners_use_only_the_pure_part_of_os(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        if isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr in PURE_OS, f"os.{node.attr} at line {node.lineno}"
        elif isinstance(node.value, ast.Attribute) and ast.unparse(node.value) == "os.path":
            assert node.attr in PURE_OS_PATH, f"os.path.{node.attr} at line {node.lineno}"


def is_call_by_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


@pytest.mark.parametrize("file", [f for f in FILES if "_kernel" in f.parts], ids=lambda f: f.name)
def test_pyroute2_is_imported_late_and_in_netlink_files_only(file: Path) -> None:
    tree = ast.parse(file.read_text())
    users = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
    late = {id(n) for f in functions(tree) for n in ast.walk(f)}
    for node in users:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if any(name.split(".")[0] == "pyroute2" for name in names):
            assert file.name.startswith("netlink"), "pyroute2 belongs to _kernel/netlink*.py"
            assert id(node) in late, "pyroute2 costs hundreds of milliseconds: import it inside a function"


def functions(tree: ast.AST) -> list[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [n for n in ast.walk(tree) if isinstance(n, kinds)]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PLUGINS)))
def test_what_ansible_test_forbids(file: Path) -> None:
    """Known at once here; `make sanity` knows more, later."""
    for node in ast.walk(ast.parse(file.read_text())):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: raise an error instead of assert"
        stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        assert not (stored and node.id == "_"), f"line {node.lineno}: call it _unused, not _"
        if isinstance(node, ast.Call) and file.stem != "spawn":
            called = ast.unparse(node.func)
            assert not PROGRAMS.fullmatch(called), f"line {node.lineno}: {called}: run programs by _kernel/spawn.py"
