# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Code of ours on a host, by version: what library.py and kept.py install.

ROOT/VERSION/barekernel/ holds the files; the programs beside it are a few lines each that name the version
they belong to. A new version is written under its own name and only then named by the programs; what a running process
has loaded it keeps.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .._kernel import files
from .._kernel.errors import KernelError

#: The package's name on hosts.
PACKAGE = "barekernel"
#: Beside it, in each version: every file by length and CRC-32, as the directory of a zip archive has them.
INDEX = "files.json"
_VERSION_LINE = "# version: "


@dataclass(frozen=True)
class Program:
    """``options`` of the interpreter, and the statements that end with the exit status in ``status``."""

    options: str
    statements: str


@dataclass(frozen=True)
class HostCode:
    """A set of programs and the code they run. ``sources`` has every file by its path below the package."""

    root: str
    programs: Mapping[str, Program]
    sources: Callable[[], Mapping[str, bytes]]

    def version(self) -> str:
        """What this code is, as 16 hexadecimal digits: another text or interpreter is another version."""
        digest = hashlib.sha256(f"{sys.executable}\0{sys.version}\0".encode())
        for path, content in sorted(self.sources().items()):
            digest.update(f"{path}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:16]

    def installed(self) -> str | None:
        """The version the programs on this host belong to; "" where one of them, or their code, is missing, as after an
        installation that was killed; None where there is nothing of it."""
        versions = {version_of(f"{self.root}/{program}") for program in self.programs}
        found = versions.pop() if len(versions) == 1 else None
        if found and os.path.isfile(f"{self.root}/{found}/complete"):
            return found
        return "" if os.path.isdir(self.root) else None

    def install(self) -> None:
        """Write this version and have the programs use it. Raises KernelError.

        The one that they used until now stays until the next one comes, for what is just beginning to import from it;
        older ones that no process uses go.
        """
        wanted, before = self.version(), self.installed()
        target = f"{self.root}/{wanted}"
        files.make_directory(self.root)
        if not os.path.isfile(f"{target}/complete"):
            files.remove_tree(target)
            self._write_package(f"{target}/{PACKAGE}")
            files.write_atomically(f"{target}/complete", wanted + "\n")
        for name, program in self.programs.items():
            files.write_atomically(f"{self.root}/{name}", _text(program, target), 0o700)
        for name in os.listdir(self.root):
            if name not in (wanted, before, *self.programs) and not in_use(f"{self.root}/{name}"):
                files.remove_tree(f"{self.root}/{name}")

    def remove(self) -> None:
        """Take all versions off the host; processes keep what they have loaded."""
        files.remove_tree(self.root)

    def _write_package(self, directory: str) -> None:
        """Every file, with its bytecode: programs and tasks then start without a compiler (compiled.py)."""
        import py_compile

        index = {}
        for path, content in self.sources().items():
            file = f"{directory}/{path}"
            files.make_directory(os.path.dirname(file))
            try:
                with open(file, "wb") as handle:
                    os.fchmod(handle.fileno(), 0o600)
                    handle.write(content)
                py_compile.compile(file, doraise=True)
            except OSError as error:
                raise KernelError.wrap(error, "write", file) from error
            index[path] = (len(content), zlib.crc32(content))
        files.write_atomically(f"{os.path.dirname(directory)}/{INDEX}", json.dumps(index))


def files_of(names: Iterable[str]) -> dict[str, bytes]:
    """Files of ours by their paths below the package, wherever this code itself was loaded from: a checkout, an
    installed collection, or the zip that Ansible sends. ``names`` are dotted, below module_utils.

    Raises KernelError for a collection that is not whole.
    """
    base = __name__.rpartition("._boot.")[0]
    found = {"__init__.py": b""}
    for name in names:
        spec = importlib.util.find_spec(f"{base}.{name}")
        loader = spec.loader if spec is not None else None
        if spec is None or spec.origin is None or loader is None or not hasattr(loader, "get_data"):
            raise KernelError(errno.ENOENT, "import", f"{base}.{name}", "Install the collection again")
        end = "/__init__.py" if spec.submodule_search_locations is not None else ".py"
        found[name.replace(".", "/") + end] = loader.get_data(spec.origin)
    return found


def in_use(directory: str) -> bool:
    """Whether a process runs from that version: each holds a shared lock on it (cli.hold_library)."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def _text(program: Program, target: str) -> str:
    return (
        f"#!{sys.executable} {program.options}\n"
        f"{_VERSION_LINE}{os.path.basename(target)}\n"
        "import os, sys\n"
        # Whoever calls it: a container's files must be readable, and what Python compiles here is run by root.
        "os.umask(0o022)\n"
        f"sys.path.insert(0, {target!r})\n"
        f"{program.statements}"
        "sys.exit(status)\n"
    )


def version_of(program: str) -> str | None:
    """The version of ours that an installed program belongs to; None where it is no program of ours."""
    text = files.read_text(program)
    lines = [line for line in (text or "").splitlines() if line.startswith(_VERSION_LINE)]
    return lines[0][len(_VERSION_LINE) :] if lines else None
