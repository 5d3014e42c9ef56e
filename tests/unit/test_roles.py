# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles say what their modules say, and each default is documented with the same value."""

from __future__ import annotations

import pytest
import yaml

from tests import collection
from tests.role_options import LIST_ROLES, outdated

ROLES = sorted(path.name for path in (collection.CHECKOUT / "roles").iterdir() if path.is_dir())


def test_list_roles_take_their_modules_options() -> None:
    assert outdated(write=False) == [], "run tools/role-options"


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_documented(role: str) -> None:
    folder = collection.CHECKOUT / "roles" / role
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text()) or {}
    options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert {name: option.get("default") for name, option in options.items() if "default" in option} == defaults


@pytest.mark.parametrize("role", ROLES)
def test_variables_bear_the_roles_name_and_are_explained(role: str) -> None:
    folder = collection.CHECKOUT / "roles" / role
    readme = (folder / "README.md").read_text()
    for name in yaml.safe_load((folder / "defaults/main.yml").read_text()) or {}:
        assert name.startswith(role + "_")
        assert f"`{name}`" in readme, f"roles/{role}/README.md does not explain {name}"


def test_every_role_is_known() -> None:
    assert {role.role for role in LIST_ROLES} <= set(ROLES)
