# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles say what their modules say, and each default is documented with the same value."""

from __future__ import annotations

import pytest
import yaml

from tests import collection

pytestmark = pytest.mark.once

ROLES = sorted(path.name for path in (collection.CHECKOUT / "roles").iterdir() if path.is_dir())


#: The list role, the module that judges its entries.
LIST_ROLES = {"image": "oci_image", "network": "bridge_network", "container": "ns_container"}


@pytest.mark.parametrize("role", LIST_ROLES)
def test_list_roles_leave_entries_to_the_module(role: str) -> None:
    """A loop over whole entries shows them in its results, secrets included; a role's own list of options shows all of
    itself at one typo, and not the entry's name."""
    folder, variable = collection.CHECKOUT / "roles" / role, f"{role}_list"
    options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert {key: options[variable].get(key) for key in ("type", "elements", "options")} == {
        "type": "list",
        "elements": "raw",  # of what is no dictionary, Ansible would show the whole spec and no position
        "options": None,
    }
    # Lists go to the module as they are, which judges each entry.
    module = f"{collection.NAMESPACE}.stack"
    tasks = [
        t for file in sorted((folder / "tasks").iterdir()) for t in yaml.safe_load(file.read_text()) if module in t
    ]
    assert len(tasks) == 1 and "loop" not in tasks[0] and tasks[0][module]["only"] == [role]


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
    assert set(LIST_ROLES) <= set(ROLES)
