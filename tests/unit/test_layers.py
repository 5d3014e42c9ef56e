# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arrows of docs/architecture.md, who may import whom, and what the name of a file says that it may do."""

from __future__ import annotations

import ast
import fnmatch
import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
ROOT = "ansible_collections.barekernel.containers.plugins"

#: What every folder that manages a kind of object may import besides itself.
SUBJECT = {"_core", "_boot", "_kernel"}
#: The libraries are made of rooms; a room knows those that are named here, and its library's own errors.
IMAGE = {"_image", *(f"_image/{room}" for room in ("format", "layers", "store", "registry", "sources", "changes"))}
RUNTIME = {"_runtime", "_runtime/bundle", "_runtime/process", "_runtime/supervise", "_runtime/command"}
#: What a stack is made of.
_KINDS = {"_images", "_cgroup", "_overlay", "_network", "_links", "_container"}
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
    "_stack": {
        *SUBJECT,
        "_image",
        "_image/store",
        "_image/format",
        "_images",
        "_cgroup",
        "_overlay",
        "_network",
        "_links",
        "_container",
    },
    "_module/arguments": {"_container"},
    "_module": {"_module/arguments", "_core", "_kernel", "ansible"},
}
#: Outside the folders of module_utils.
MODULES = {
    "modules": {"_module", "_module/arguments", "_core", "_kernel", "ansible", "subjects"},
    "doc_fragments": set(),
}
#: Folders that manage kinds of objects: here the name of a file says what it may do.
SUBJECTS = ("_boot", "_cgroup", "_container", "_core", "_images", "_links", "_network", "_overlay", "_stack")
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


@functools.cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """Every node of the file's syntax tree."""
    return tuple(ast.walk(ast.parse(file.read_text())))


def imports(file: Path) -> Iterator[str]:
    """The full dotted name of each module that the file imports, at any depth."""
    package = [*ROOT.split("."), *file.relative_to(PLUGINS).parent.parts]
    for node in nodes(file):
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


def shown(file: Path) -> str:
    return str(file.relative_to(PLUGINS))


def test_the_folders_are_those_of_the_table() -> None:
    found = {str(f.parent.relative_to(PLUGINS / "module_utils")) for f in FILES if "module_utils" in f.parts}
    assert found == set(MAY_IMPORT)


def test_no_arrow_leads_back() -> None:
    """The table itself has no circle, so whoever reads a folder has to know only those below it."""
    below: dict[str, set[str]] = {folder: {*known} & set(MAY_IMPORT) - {folder} for folder, known in MAY_IMPORT.items()}
    while below:
        lowest = {folder for folder, known in below.items() if not known & set(below)}
        assert lowest, f"a circle among {sorted(below)}"
        below = {folder: known for folder, known in below.items() if folder not in lowest}


def test_only_the_runner_asks_whether_it_is_check_mode() -> None:
    found = ((file, node) for file in FILES for node in nodes(file))
    asking = {file.name for file, node in found if isinstance(node, ast.Attribute) and node.attr == "check_mode"}
    assert asking == {"runner.py"}


def wrong_imports(file: Path) -> Iterator[str]:
    folder = folder_of(shown(file))
    may = {folder, *MAY_IMPORT.get(folder, MODULES.get(folder, set()))}
    may |= set(SUBJECTS) if "subjects" in may else set()
    for name in imports(file):
        if name.startswith(ROOT + "."):
            target = folder_of(name[len(ROOT) + 1 :])
            if target not in may:
                yield f"{shown(file)}: {folder} may not import {target} ({name})"
        elif name.split(".")[0] in ("ansible", "pyroute2") and name.split(".")[0] not in may:
            yield f"{shown(file)}: {folder} may not import {name}"


def test_imports_follow_the_arrows() -> None:
    assert [wrong for file in FILES for wrong in wrong_imports(file)] == []


def may_read(file: Path) -> bool:
    """Whether the name of a file says that it reads the host."""
    names = (*MAY_READ["*"], *MAY_READ.get(file.parent.name, ()))
    return any(fnmatch.fnmatchcase(file.stem, name) for name in names)


PURE = [f for f in FILES if f.parent.name in SUBJECTS and f.parent.parent.name == "module_utils" and not may_read(f)]


def impurities(file: Path) -> Iterator[str]:
    """What a file does that reads the host."""
    yield from (f"{shown(file)}: imports {name}" for name in imports(file) if name.split(".")[0] in IMPURE)
    for node in nodes(file):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if called in ("open", "print"):
            yield f"{shown(file)}: {called} at line {getattr(node, 'lineno', 0)}"
        if not isinstance(node, ast.Attribute):
            continue
        holder = ast.unparse(node.value) if isinstance(node.value, (ast.Name, ast.Attribute)) else ""
        pure = {"os": PURE_OS, "os.path": PURE_OS_PATH}.get(holder)
        if pure is not None and node.attr not in pure:
            yield f"{shown(file)}: {holder}.{node.attr} at line {node.lineno}"


def test_files_that_do_not_read_the_host_are_pure() -> None:
    assert PURE
    assert [found for file in PURE for found in impurities(file)] == []


def test_pyroute2_is_imported_late_and_in_netlink_files_only() -> None:
    """It costs hundreds of milliseconds, so it is imported inside functions."""
    wrong, users = [], set()
    for file in (file for file in FILES if "_kernel" in file.parts):
        late = {id(node) for each in functions(nodes(file)) for node in ast.walk(each)}
        for node in nodes(file):
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(name.split(".")[0] == "pyroute2" for name in names):
                users.add(file.name)
                if id(node) not in late or not file.name.startswith("netlink"):
                    wrong.append(f"{shown(file)}: line {node.lineno}")
    assert users
    assert wrong == []


def functions(among: Sequence[ast.AST]) -> list[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in among if isinstance(node, kinds)]


def forbidden(file: Path) -> Iterator[str]:
    for node in nodes(file):
        if isinstance(node, ast.Assert):
            yield f"{shown(file)}: line {node.lineno}: raise an error instead of assert"
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == "_":
            yield f"{shown(file)}: line {node.lineno}: call it _unused, not _"
        if isinstance(node, ast.Call) and file.stem != "spawn" and PROGRAMS.fullmatch(ast.unparse(node.func)):
            yield f"{shown(file)}: line {node.lineno}: {ast.unparse(node.func)}: run programs by _kernel/spawn.py"


def test_what_ansible_test_forbids() -> None:
    """Known at once here; `make sanity` knows more, later."""
    assert [found for file in FILES for found in forbidden(file)] == []
