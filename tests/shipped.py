# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files a host needs: the transitive imports of nsrun and restore, found in the checkout."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "plugins/module_utils"
#: The list that is read on hosts, and the imports that bring its files there.
LIST = ROOT / "_boot/shipped.py"
CLOSURE = ROOT / "_module/closure.py"
#: What the programs start with; all of the runtime, as its command line imports by name what a command needs.
ROOTS = [
    "_container.restore",
    *sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "_runtime").rglob("[!_]*.py")),
]
#: Resources whose boot needs no library of containers, and the list of what each of them needs.
KEPT = {"cgroup_v2": "_cgroup.resource", "netns_veth": "_links.resource"}
KEPT_LIST = ROOT / "_boot/shipped_kept.py"
KEPT_HEAD = '''"""Every file that brings back a primitive at boot, by the name of its unit. Written by tools/shipped."""

from __future__ import annotations

'''
LIST_HEAD = '''"""Every file that nsrun and restore need on a host. Written by tools/shipped."""

from __future__ import annotations

'''
CLOSURE_HEAD = '''"""Every file that nsrun and restore need on a host, as imports. Written by tools/shipped.

Ansible sends along with a module what the module imports, executed or not. A module that installs the library on a host
imports this file; any other module stays small.
"""

from __future__ import annotations
'''


@functools.cache
def imports(name: str) -> set[str]:
    """The modules of ours that one imports, as FOLDER.FILE (the packages too)."""
    package = name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file_of(name).read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = [*package[: len(package) - (node.level - 1)], *(node.module.split(".") if node.module else [])]
        candidates = [".".join(base), *(".".join([*base, alias.name]) for alias in node.names)]
        found |= {c for c in candidates if c and file_of(c).is_file()}
    return found


def file_of(name: str) -> Path:
    """The file of a module or package by its dotted name below module_utils."""
    path = ROOT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def needed(roots: Sequence[str] = tuple(ROOTS)) -> list[str]:
    """The closure of the roots, with the packages they are in."""
    todo, done = list(roots), set[str]()
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            todo += imports(name)
    return sorted(done | {package for name in done for package in packages(name)})


def packages(name: str) -> list[str]:
    """The packages that a module is in."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def texts() -> dict[Path, str]:
    """The files as they should be."""
    names = needed()
    license_lines = "".join((ROOT / "_module/runner.py").read_text().partition('"""')[0])
    listed = ["SHIPPED = (\n", *(f'    "{name}",\n' for name in names), ")\n"]
    closure = []
    for package in sorted({name.rpartition(".")[0] for name in names} - {""}):
        members = [n.rpartition(".")[2] for n in names if n.rpartition(".")[0] == package and n not in holders(names)]
        if members:
            closure += [
                f"\n\ndef {package.lstrip('_').replace('.', '_')}() -> None:\n",
                f"    from ..{package} import (  # noqa: F401\n",
                *(f"        {member},\n" for member in members),
                "    )\n",
            ]
    kept = ["KEPT = {\n"]
    for service, root in KEPT.items():
        kept += [
            f'    "{service}": (\n',
            *(f'        "{name}",\n' for name in needed([root, "_boot.restoring"])),
            "    ),\n",
        ]
    return {
        KEPT_LIST: license_lines + KEPT_HEAD + "".join([*kept, "}\n"]),
        LIST: license_lines + LIST_HEAD + "".join(listed),
        CLOSURE: license_lines + CLOSURE_HEAD + "".join(closure),
    }


def holders(names: list[str]) -> set[str]:
    """Those of the names that are packages."""
    return {package for name in names for package in packages(name)}


def main(check: bool) -> int:
    """Write them, or with ``check`` only say whether they are as they should be."""
    stale = [path for path, text in texts().items() if not path.is_file() or path.read_text() != text]
    if check and stale:
        print("run tools/shipped", file=sys.stderr)
        return 1
    for path in stale:
        path.write_text(texts()[path])
    return 0
