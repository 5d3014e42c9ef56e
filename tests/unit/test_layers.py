# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arrows of docs/architecture.md, who may import whom, and what the name of a file says that it may do."""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
ROOT = "ansible_collections.barekernel.containers.plugins"

#: What every folder that manages a kind of object may import besides itself.
SUBJECT = {"_core", "_boot", "_kernel"}
#: The libraries are made of rooms; a room knows those that are named here, and its library's own errors.
IMAGE = {"_image", *(f"_image/{room}" for room in ("format", "layers", "store", "registry", "sources", "changes"))}
RUNTIME = {"_runtime", "_runtime/bundle", "_runtime/process", "_runtime/supervise", "_runtime/command"}
#: Folder below module_utils -> what it may import besides itself. "ansible" and "pyroute2" stand for themselves.
MAY_IMPORT: dict[str, set[str]] = {
    "_kernel": {"pyroute2"},
    "_image": {"_kernel"},
    "_image/format": {"_image", "_kernel"},
    "_image/layers": {"_image", "_image/format", "_kernel"},
    "_image/store": {"_image", "_image/format", "_image/layers", "_kernel"},
    "_image/registry": {"_image", "_kernel"},
    "_image/sources": {*IMAGE - {"_image/changes"}, "_kernel"},
    "_image/changes": {*IMAGE, "_kernel"},
    "_runtime": {"_kernel"},
    "_runtime/bundle": {"_runtime", "_kernel"},
    "_runtime/process": {"_runtime", "_runtime/bundle", "_kernel"},
    "_runtime/supervise": {"_runtime", "_runtime/bundle", "_runtime/process", "_kernel"},
    "_runtime/command": {*RUNTIME, "_kernel"},
    "_core": {"_kernel"},
    "_boot": {"_core", "_kernel", "_image/store", *RUNTIME},
    "_cgroup": SUBJECT,
    "_overlay": SUBJECT,
    "_links": SUBJECT,
    "_network": SUBJECT,
    "_images": {*SUBJECT, *IMAGE, "_runtime/process"},
    "_container": {*SUBJECT, "_cgroup", "_links", "_network", "_images", *IMAGE, *RUNTIME},
    "_module": {"_core", "_kernel", "ansible"},
}
#: Outside the folders of module_utils.
MODULES = {"modules": {"_module", "_core", "_kernel", "ansible", "subjects"}, "doc_fragments": set()}
#: Folders that manage kinds of objects: here the name of a file says what it may do.
SUBJECTS = ("_boot", "_cgroup", "_container", "_core", "_images", "_links", "_network", "_overlay")
#: Names of files there that may read the host; all others are pure, and write only through the kernel object that an
#: operation is executed with.
MAY_READ = {
    "*": ("observe*", "resource", "info"),
    "_boot": ("compiled", "declared", "host_code", "kept"),
    "_core": ("kernel_info",),
    "_images": ("blobs",),
    "_network": ("recorded",),
}
#: Modules with which a pure file could do I/O, read the clock or depend on chance.
IMPURE = {"ctypes", "fcntl", "glob", "io", "random", "shutil", "socket", "subprocess", "tempfile", "time"}
#: What of the os module is a pure function.
PURE_OS = {"fsdecode", "fsencode", "fspath", "sep", "path"}
#: What ansible-test calls ansible-bad-function.
PROGRAMS = re.compile(
    r"subprocess\.(Popen|call|check_call|check_output|getoutput|getstatusoutput|run)"
    r"|os\.(popen|system|posix_spawnp?|spawn[lv]p?e?)|print"
)
PURE_OS_PATH = {"join", "dirname", "basename", "normpath", "isabs", "split", "splitext", "commonpath", "relpath"}


def folder_of(path: str) -> str:
    """A path below plugins/, or a dotted name below ROOT, as its folder: a subject, a room of a library, or modules."""
    parts = re.split(r"[/.]", path.removesuffix(".py"))
    if parts[0] != "module_utils":
        return parts[0]
    room = "/".join(parts[1:3])
    return room if room in MAY_IMPORT else parts[1]


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


FILES = [
    file
    for file in sorted(PLUGINS.rglob("*.py"))
    if folder_of(str(file.relative_to(PLUGINS))) in {*MAY_IMPORT, *MODULES}
    and file.name != "closure.py"  # names everything, runs nothing (tools/shipped)
]


def test_the_folders_are_those_of_the_table() -> None:
    found = {str(f.parent.relative_to(PLUGINS / "module_utils")) for f in FILES if "module_utils" in f.parts}
    assert found - {"_module/arguments"} == set(MAY_IMPORT)


def test_no_arrow_leads_back() -> None:
    """The table itself has no circle, so whoever reads a folder has to know only those below it."""
    below: dict[str, set[str]] = {folder: {*known} & set(MAY_IMPORT) - {folder} for folder, known in MAY_IMPORT.items()}
    while below:
        lowest = {folder for folder, known in below.items() if not known & set(below)}
        assert lowest, f"a circle among {sorted(below)}"
        below = {folder: known for folder, known in below.items() if folder not in lowest}


def test_only_the_runner_asks_whether_it_is_check_mode() -> None:
    nodes = ((file, node) for file in FILES for node in ast.walk(ast.parse(file.read_text())))
    asking = {file.name for file, node in nodes if isinstance(node, ast.Attribute) and node.attr == "check_mode"}
    assert asking == {"runner.py"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PLUGINS)))
def test_imports_follow_the_arrows(file: Path) -> None:
    folder = folder_of(str(file.relative_to(PLUGINS)))
    may = {folder, *MAY_IMPORT.get(folder, MODULES.get(folder, set()))}
    may |= set(SUBJECTS) if "subjects" in may else set()
    for name in imports(file):
        if name.startswith(ROOT + "."):
            target = folder_of(name[len(ROOT) + 1 :])
            assert target in may, f"{folder} may not import {target} ({name})"
        elif name.split(".")[0] in ("ansible", "pyroute2"):
            assert name.split(".")[0] in may, f"{folder} may not import {name}"


def may_read(file: Path) -> bool:
    """Whether the name of a file says that it reads the host."""
    names = (*MAY_READ["*"], *MAY_READ.get(file.parent.name, ()))
    return any(fnmatch.fnmatchcase(file.stem, name) for name in names)


PURE = [f for f in FILES if f.parent.name in SUBJECTS and f.parent.parent.name == "module_utils" and not may_read(f)]


@pytest.mark.parametrize("file", PURE, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_files_that_do_not_read_the_host_are_pure(file: Path) -> None:
    assert not [name for name in imports(file) if name.split(".")[0] in IMPURE]
    for node in ast.walk(ast.parse(file.read_text())):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        assert called not in ("open", "print"), f"line {getattr(node, 'lineno', 0)}"
        if not isinstance(node, ast.Attribute):
            continue
        if isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr in PURE_OS, f"os.{node.attr} at line {node.lineno}"
        elif isinstance(node.value, ast.Attribute) and ast.unparse(node.value) == "os.path":
            assert node.attr in PURE_OS_PATH, f"os.path.{node.attr} at line {node.lineno}"


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
