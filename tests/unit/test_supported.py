# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which ansible-core is supported is said in several places, and `make sanity` tests each from the oldest on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.once

CHECKOUT = Path(__file__).resolve().parents[2]
[TABLE] = re.findall(r"^cores='(.*?)'$", (CHECKOUT / "tools/sanity").read_text(), re.DOTALL | re.MULTILINE)
#: Versions of ansible-core, the oldest first, and the Pythons that run each.
CORES = {line.split()[0]: line.split()[1:] for line in TABLE.splitlines()}


def test_the_oldest_is_the_same_everywhere() -> None:
    oldest = next(iter(CORES))
    assert yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text())["requires_ansible"] == f">={oldest}.0"
    assert f"ansible-core {oldest} or later" in (CHECKOUT / "README.md").read_text()
    for role in sorted((CHECKOUT / "roles").iterdir()):
        meta = yaml.safe_load((role / "meta/main.yml").read_text())
        assert meta["galaxy_info"]["min_ansible_version"] == oldest, role.name


def test_each_has_its_pinned_environment() -> None:
    """With hashes, and without the address of anybody's registry."""
    pinned = {path.stem.rpartition("-")[2] for path in CHECKOUT.glob("requirements-sanity-*.txt")}
    assert pinned == set(CORES) and all(CORES.values())
    for core in CORES:
        text = (CHECKOUT / f"requirements-sanity-{core}.txt").read_text()
        assert re.search(rf"^ansible-core=={re.escape(core)}\.[0-9]+ \\$", text, re.MULTILINE)
        packages = re.findall(r"^[a-z0-9-]+==[^#]*?(?=^[a-z0-9-]+==|\Z)", text, re.MULTILINE | re.DOTALL)
        assert len(packages) > 5 and all("--hash=sha256:" in package for package in packages)
        assert "http" not in text


def test_what_make_site_pins_is_supported() -> None:
    pins = re.findall(r"^ansible-core==([0-9]+\.[0-9]+)", (CHECKOUT / "requirements.in").read_text(), re.MULTILINE)
    assert pins and set(pins) <= set(CORES)
