# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has already is loaded from there, bytecode and all, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled, library

from tests import shipped

BASE = "ansible_collections/barekernel/containers/plugins/module_utils"
#: A module's imports, from an archive as Ansible sends it; prints where each of ours was loaded from.
PROGRAM = """
import json, sys
sys.path.insert(0, {archive!r})
from {base}._kernel import locations
locations.LIBRARY = {library!r}
from {base}._boot import compiled
from {base}._core import quantities
from {base}._container import plan, info
print(json.dumps({{name: sys.modules[name].__spec__.origin for name in sys.modules if name.startswith({base!r})}}))
"""


def archive(path: Path, changed: str = "") -> Path:
    """All of module_utils as a zip archive, with one file that is another than the checkout's."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        parts = BASE.split("/")
        for count in range(1, len(parts) + 1):
            zipped.writestr("/".join(parts[:count]) + "/__init__.py", "")
        for file in sorted(shipped.ROOT.rglob("*.py")):
            name = str(file.relative_to(shipped.ROOT))
            zipped.writestr(f"{BASE}/{name}", file.read_text() + ("\n# changed\n" if name == changed else ""))
    return path


def origins(path: Path, installed: Path) -> dict[str, str]:
    """Where each module of ours is loaded from, by its name below module_utils."""
    base = BASE.replace("/", ".")
    program = PROGRAM.format(archive=str(path), base=base, library=str(installed))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name[len(base) + 1 :]: origin for name, origin in json.loads(done.stdout).items()}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The library of this checkout as a host has it."""
    root = tmp_path / "lib"
    library.install(str(root))
    return root


def test_what_is_installed_is_loaded_from_there(tmp_path: Path, installed: Path) -> None:
    found = origins(archive(tmp_path / "module.zip"), installed)
    assert found["_container.plan"].startswith(f"{installed}/")
    assert found["_core.quantities"].startswith(f"{installed}/")
    bytecode = [Path(origin) for origin in found.values() if origin.startswith(f"{installed}/")]
    assert len(bytecode) > 20
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in bytecode)


def test_another_version_of_a_file_is_the_one_that_was_sent(tmp_path: Path, installed: Path) -> None:
    found = origins(archive(tmp_path / "module.zip", "_core/quantities.py"), installed)
    assert found["_core.quantities"].startswith(f"{tmp_path}/module.zip/")
    assert found["_container.plan"].startswith(f"{installed}/")


def test_what_the_library_does_not_hold_is_the_one_that_was_sent(tmp_path: Path, installed: Path) -> None:
    assert "_container.info" not in shipped.needed()
    found = origins(archive(tmp_path / "module.zip"), installed)
    assert found["_container.info"].startswith(f"{tmp_path}/module.zip/")


@pytest.mark.parametrize("damage", ["nothing there", "others may write", "no index", "half an index", "no program"])
def test_a_library_that_is_not_whole_is_left_alone(tmp_path: Path, installed: Path, damage: str) -> None:
    version = installed / str(library.installed(str(installed)))
    if damage == "nothing there":
        library.remove(str(installed))
    elif damage == "others may write":
        version.joinpath("barekernel").chmod(0o777)
    elif damage == "no index":
        version.joinpath("files.json").unlink()
    elif damage == "half an index":
        version.joinpath("files.json").write_text('{"_core/')
    else:
        (installed / "nsrun").unlink()
    found = origins(archive(tmp_path / "module.zip"), installed)
    assert {name for name, origin in found.items() if not origin.startswith(f"{tmp_path}/module.zip/")} == set()


def test_the_same_path_with_other_content_is_another_file() -> None:
    index = {"a.py": [3, 7], "b.py": [3, 7], "p/__init__.py": [0, 0], "odd.py": []}
    sent = {"a.py": (3, 7), "b.py": (3, 8), "c.py": (3, 7), "p/__init__.py": (0, 0), "odd.py": (3, 7)}
    assert compiled.same_files(sent, index) == {"a.py"}
