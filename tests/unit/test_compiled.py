# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has already is loaded from there, bytecode and all, and nothing else is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.barekernel.containers.plugins.module_utils._boot import compiled, host_code, library

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
{then}
{more}
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


def origins(path: Path, installed: Path, more: str = "_container import plan, info", then: str = "") -> dict[str, str]:
    """Where each module of ours is loaded from, by its name below module_utils; ``then`` is done before ``more``."""
    base = BASE.replace("/", ".")
    more = f"from {base}.{more}" if more else ""
    program = PROGRAM.format(archive=str(path), base=base, library=str(installed), more=more, then=then)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name[len(base) + 1 :]: origin for name, origin in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of this checkout."""
    return archive(tmp_path_factory.mktemp("sent") / "module.zip")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of this checkout as a host has it."""
    root = tmp_path_factory.mktemp("installed") / "lib"
    library.install(str(root))
    return root


def test_what_is_installed_is_loaded_from_there(sent: Path, installed: Path) -> None:
    """And what the library does not hold is the one that was sent."""
    assert "_container.info" not in shipped.needed()
    found = origins(sent, installed)
    assert found["_container.info"].startswith(f"{sent}/")
    assert found["_container.plan"].startswith(f"{installed}/")
    assert found["_core.quantities"].startswith(f"{installed}/")
    bytecode = [Path(origin) for origin in found.values() if origin.startswith(f"{installed}/")]
    assert len(bytecode) > 20
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in bytecode)


def test_another_version_of_a_file_is_the_one_that_was_sent(tmp_path: Path, installed: Path) -> None:
    found = origins(archive(tmp_path / "module.zip", "_core/quantities.py"), installed, "_container import plan")
    assert found["_core.quantities"].startswith(f"{tmp_path}/module.zip/")
    assert found["_container.plan"].startswith(f"{installed}/")


@pytest.mark.parametrize("damage", ["nothing there", "others may write", "no index", "half an index", "no program"])
def test_a_library_that_is_not_whole_is_left_alone(tmp_path: Path, sent: Path, installed: Path, damage: str) -> None:
    version_name, root = library.installed(str(installed)), tmp_path / "lib"
    shutil.copytree(installed, root)
    version = root / str(version_name)
    if damage == "nothing there":
        library.remove(str(root))
    elif damage == "others may write":
        version.joinpath("barekernel").chmod(0o777)
    elif damage == "no index":
        version.joinpath("files.json").unlink()
    elif damage == "half an index":
        version.joinpath("files.json").write_text('{"_core/')
    else:
        (root / "nsrun").unlink()
    found = origins(sent, root, "")
    assert {name for name, origin in found.items() if not origin.startswith(f"{sent}/")} == set()


def test_a_copy_of_a_library_is_one(tmp_path: Path, sent: Path, installed: Path) -> None:
    """Or the damages above would not be what keeps it from being used."""
    shutil.copytree(installed, tmp_path / "lib")
    assert origins(sent, tmp_path / "lib", "")["_core.quantities"].startswith(f"{tmp_path}/lib/")


@pytest.mark.parametrize("when", ["between two imports", "when its file was found"])
def test_what_another_version_has_replaced_is_the_one_that_was_sent(
    tmp_path: Path, sent: Path, installed: Path, when: str
) -> None:
    """By this module itself, which imports more afterwards, or by another one meanwhile."""
    installed = Path(shutil.copytree(installed, tmp_path / "lib"))
    then = f"import shutil; shutil.rmtree({str(installed)!r})"
    if when == "when its file was found":
        found = "compiled.InstalledFinder.find_spec"
        then = f"import shutil\nfind = {found}\ndef find_spec(self, *given):\n    spec = find(self, *given)\n"
        then += f"    shutil.rmtree({str(installed)!r}, True)\n    return spec\n{found} = find_spec"
    loaded = origins(sent, installed, "_container import plan", then)
    assert loaded["_core.quantities"].startswith(f"{installed}/")
    assert "_container.plan" in loaded
    assert not installed.exists()


def test_the_same_path_with_other_content_is_another_file() -> None:
    index = {"a.py": [3, 7], "b.py": [3, 7], "p/__init__.py": [0, 0], "odd.py": []}
    sent = {"a.py": (3, 7), "b.py": (3, 8), "c.py": (3, 7), "p/__init__.py": (0, 0), "odd.py": (3, 7)}
    assert compiled.same_files(sent, index) == {"a.py"}


def test_the_version_before_stays_for_what_is_just_beginning_to_run(tmp_path: Path) -> None:
    """Older ones go, but for one that a process holds."""
    program = {"nsrun": host_code.Program("-I", "status = 0\n")}
    codes = [host_code.HostCode(str(tmp_path), program, lambda n=n: {"a.py": b"%d" % n}) for n in range(5)]
    kept = []
    with contextlib.ExitStack() as held:
        for code in codes:
            code.install()
            assert code.installed() == code.version()
            kept.append([n for n, other in enumerate(codes) if (tmp_path / other.version()).exists()])
            if code is codes[1]:
                directory = os.open(tmp_path / code.version(), os.O_RDONLY)
                held.callback(os.close, directory)
                fcntl.flock(directory, fcntl.LOCK_SH)
    assert kept == [[0], [0, 1], [1, 2], [1, 2, 3], [1, 3, 4]]
