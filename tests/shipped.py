# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files a host needs: the transitive imports of nsrun and restore, found in the checkout."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "plugins/module_utils"
TARGET = ROOT / "_resource/shipped.py"
#: What the programs start with; all of the runtime, as its command line imports by name what a command needs.
ROOTS = ["_resource.restore", *sorted(f"_runtime.{path.stem}" for path in (ROOT / "_runtime").glob("[!_]*.py"))]
HEAD = '''"""Every file that nsrun and restore need on a host. Written by tools/shipped.

AnsiballZ takes along what a module imports, so the imports below, which nobody runs, are what brings these files to
the host in the first place.
"""

from __future__ import annotations

'''


def imports(name: str) -> set[str]:
    """The modules of ours that one imports, as LAYER.FILE (the packages too)."""
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
    path = ROOT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def needed() -> list[str]:
    """The closure of the roots, with the packages they are in."""
    todo, done = list(ROOTS), set[str]()
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            # shipped.py itself is what we are writing: it is needed by library.py and imports nothing new.
            todo += () if name == "_resource.shipped" else imports(name)
    return sorted(done | {name.partition(".")[0] for name in done})


def text() -> str:
    """shipped.py as it should be."""
    names = needed()
    license_lines = "".join(TARGET.with_name("base.py").read_text().partition('"""')[0])
    lines = [license_lines + HEAD, "SHIPPED = (\n", *(f'    "{name}",\n' for name in names), ")\n"]
    for layer in sorted({name.partition(".")[0] for name in names}):
        members = [n.partition(".")[2] for n in names if n.startswith(layer + ".") and n != "_resource.shipped"]
        lines += [
            f"\n\ndef {layer}() -> None:\n",
            f"    from ..{layer} import (  # noqa: F401\n",
            *(f"        {m},\n" for m in members),
            "    )\n",
        ]
    return "".join(lines)


def main(check: bool) -> int:
    """Write it, or with ``check`` only say whether it is as it should be."""
    wanted = text()
    if TARGET.is_file() and TARGET.read_text() == wanted:
        return 0
    if check:
        print("run tools/shipped", file=sys.stderr)
        return 1
    TARGET.write_text(wanted)
    return 0
