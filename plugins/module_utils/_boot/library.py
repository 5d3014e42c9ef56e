# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's own code on a host: nsrun, and what brings networks and containers back at boot."""

from __future__ import annotations

import errno
import importlib.util
from functools import lru_cache

from .._kernel import files, locations
from .._kernel.errors import KernelError
from .host_code import PACKAGE, HostCode, Program
from .shipped import SHIPPED

#: Without -S for what needs the distribution's pyroute2. Names are UTF-8 (-X utf8) whatever locale the caller has.
PROGRAMS = {
    "nsrun": Program("-ISXutf8", f"from {PACKAGE}._runtime.command.cli import main\nstatus = main(sys.argv[1:])\n"),
    "restore": Program("-IXutf8", f"from {PACKAGE}._container.restore import main\nstatus = main()\n"),
}


@lru_cache(maxsize=1)
def sources() -> dict[str, bytes]:
    """Every shipped file by its path below the package, wherever this code itself was loaded from.

    Raises KernelError for a collection that is not whole.
    """
    base = __name__.rpartition("._boot.")[0]
    found = {"__init__.py": b""}
    for name in SHIPPED:
        spec = importlib.util.find_spec(f"{base}.{name}")
        loader = spec.loader if spec is not None else None
        if spec is None or spec.origin is None or loader is None or not hasattr(loader, "get_data"):
            raise KernelError(errno.ENOENT, "import", f"{base}.{name}", "Install the collection again")
        path = name.replace(".", "/")
        found[path + ("/__init__.py" if spec.submodule_search_locations is not None else ".py")] = loader.get_data(
            spec.origin
        )
    return found


@lru_cache(maxsize=1)
def version() -> str:
    """See HostCode.version()."""
    return _code(locations.LIBRARY).version()


def installed(root: str = locations.LIBRARY) -> str | None:
    """See HostCode.installed()."""
    return _code(root).installed()


def install(root: str = locations.LIBRARY) -> None:
    """See HostCode.install()."""
    _code(root).install()


def remove(root: str = locations.LIBRARY) -> None:
    """Take all versions off the host, with what they keep to be quick; processes keep what they have loaded."""
    _code(root).remove()
    files.remove_tree(locations.CACHE)


def _code(root: str) -> HostCode:
    return HostCode(root, PROGRAMS, sources)
