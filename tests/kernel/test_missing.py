# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host without pyroute2: every module that needs it says so at once, and nothing changes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import collection

from . import state
from .module_process import HOST_PYTHON, run_module

NEEDS = [name for name in collection.module_names() if getattr(collection.module_resource(name), "needs_pyroute2", 0)]
#: What a module gets that has options it cannot do without.
PARAMS = {
    "bridge_network": {"name": "bktest", "addresses": ["10.77.0.1/24"]},
    "netns_veth": {"name": "bktest", "namespaces": [{"name": "bktest"}]},
    "ns_container": {"name": "bktest", "image": "bktest"},
}


@pytest.fixture
def without_pyroute2() -> Iterator[None]:
    """The distribution's packages, less that one."""
    where = [HOST_PYTHON, "-c", "import pyroute2; print(pyroute2.__path__[0])"]
    package = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    above = Path("/run/without")
    for name in ("upper", "work"):
        (above / name).mkdir(parents=True)
    layers = f"lowerdir={package.parent},upperdir={above}/upper,workdir={above}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(package.parent)], check=True)
    try:
        shutil.rmtree(package)
        yield
    finally:
        subprocess.run(["umount", str(package.parent)], check=True)
        shutil.rmtree(above)


@pytest.mark.usefixtures("without_pyroute2")
@pytest.mark.parametrize("name", NEEDS)
def test_the_package_is_named(name: str) -> None:
    before = state.take()
    result = run_module(name, PARAMS.get(name, {}))
    assert result["failed"] and result["package"] == "python3-pyroute2"
    assert "Install the distribution's package python3-pyroute2" in result["msg"]
    assert state.differences(before, state.take()) == []
