# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports what is needed of pyroute2 without the whole of it.

``import pyroute2`` brings in 150 modules for every netlink family and its own database: most of the time of a short
task. The parts import each other by their full names, so they need the package's place, not what its __init__ does.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

PACKAGE = "pyroute2"


#: Attributes of addresses (if_addr.h) behind those that pyroute2 knows before 0.7.10, in the kernel's order.
_ADDRESS_ATTRIBUTES = (("IFA_RT_PRIORITY", "uint32"), ("IFA_TARGET_NETNSID", "asciiz"), ("IFA_PROTO", "uint8"))


def iproute() -> Any:
    """pyroute2's class IPRoute. Raises ImportError where there is no pyroute2.

    Where the package was imported before, or its parts cannot do without the whole, it is the whole package's.
    """
    found = _iproute()
    message = importlib.import_module(f"{PACKAGE}.netlink.rtnl.ifaddrmsg").ifaddrmsg
    known = tuple(message.nla_map)
    message.nla_map = known + tuple(a for a in _ADDRESS_ATTRIBUTES if a[0] not in {entry[0] for entry in known})
    return found


def _iproute() -> Any:
    if PACKAGE not in sys.modules and _stand_in():
        try:
            return importlib.import_module(f"{PACKAGE}.iproute").IPRoute
        except (ImportError, AttributeError):
            _forget()
    return importlib.import_module(f"{PACKAGE}.iproute").IPRoute


def conntrack() -> Any:
    """pyroute2's module for connection tracking (NFCTSocket, NFCTAttrTuple). Raises ImportError."""
    iproute()  # decides whether it is of the parts or of the whole
    return importlib.import_module(f"{PACKAGE}.netlink.nfnetlink.nfctsocket")


def _stand_in() -> bool:
    """Put a package that is empty but for its place where an import looks first. False where it is not found."""
    spec = importlib.machinery.PathFinder.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        return False
    package = ModuleType(PACKAGE)
    package.__spec__ = spec
    package.__path__ = spec.submodule_search_locations
    sys.modules[PACKAGE] = package
    return True


def _forget() -> None:
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
