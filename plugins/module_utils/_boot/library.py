# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's own code on a host: nsrun, and what brings networks and containers back at boot."""

from __future__ import annotations

from functools import lru_cache

from .._kernel import files, locations
from .host_code import PACKAGE, HostCode, Program, files_of
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
    return files_of(SHIPPED)


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
