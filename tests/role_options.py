# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the list roles repeat of their modules, derived from the modules; see tools/role-options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests import collection
from tests.conftest import link_collection

HEADER = "---\n# tools/role-options writes here what it takes from the documentation of {module}.\n"


@dataclass(frozen=True)
class ListRole:
    """A role whose list variable holds entries with a module's options."""

    role: str
    module: str
    #: What the task's name says, before the entry's name.
    what: str
    #: Options whose value is not simply the entry's.
    values: Mapping[str, str] = field(default_factory=dict)

    #: Options that the role (or nobody but the action plugin) sets, not its entries.
    own: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        return f"{self.role}_list"

    @property
    def folder(self) -> Path:
        return collection.CHECKOUT / "roles" / self.role


#: The state comes from the role's own variable where that is set: teardown says absent there.
_STATE = "{{ %s_state | default(item.state, true) | default(omit, true) }}"

LIST_ROLES = (
    ListRole(
        "image",
        "oci_image",
        "Image",
        {
            "state": _STATE % "image",
            "seed": "{{ image_seed | default(omit, true) }}",
        },
        own=("handed_over", "progress_file", "seed"),
    ),
    ListRole("network", "bridge_network", "Network", {"state": _STATE % "network"}),
    ListRole(
        "container",
        "ns_container",
        "Container",
        {
            "state": _STATE % "container",
            "limits_required": "{{ item.limits_required | default(container_limits == 'require') }}",
            "assume": "{{ container_assumed if ansible_check_mode else omit }}",
        },
        own=("assume",),
    ),
)


def entry_options(options: Mapping[str, Any], module: str, path: str = "") -> dict[str, Any]:
    """A module's documented options as those of a role's entry: the same types, described by reference."""
    return {name: _entry_option(option, module, path + name) for name, option in sorted(options.items())}


def _entry_option(option: Mapping[str, Any], module: str, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": f"See O({collection.NAMESPACE}.{module}#module:{path})."}
    answer.update({key: option[key] for key in ("type", "elements", "required", "choices", "aliases") if key in option})
    if option.get("suboptions"):
        inside = path + ("[]." if option.get("type") == "list" else ".")
        answer["options"] = entry_options(option["suboptions"], module, inside)
    return answer


def argument_specs(role: ListRole) -> str:
    """The role's meta/argument_specs.yml as it is, with the options of the list's entries brought up to date."""
    own = yaml.safe_load((role.folder / "meta/argument_specs.yml").read_text())
    options = entry_options(collection.documentation(role.module)["options"], role.module)
    for name in role.own:
        options.pop(name)
    for entry_point in own["argument_specs"].values():
        if role.variable in entry_point.get("options", {}):
            entry_point["options"][role.variable]["options"] = options
    return _yaml(role, own)


def apply_task(role: ListRole) -> str:
    """The role's tasks/apply.yml: one task that hands every option over."""
    options = collection.documentation(role.module)["options"]
    options = {"name": options["name"], "state": options["state"], **options}
    given = {
        name: role.values.get(name, f"{{{{ item.{name} | default(omit) }}}}")
        for name in options
        if name in role.values or name not in role.own
    }
    task = {
        "name": f"{role.what}s",
        f"{collection.NAMESPACE}.{role.module}": {**given, "name": "{{ item.name }}"},
        # What was made later may need what was made earlier.
        "loop": f"{{{{ {role.variable} | reverse | list if {role.role}_state == 'absent' else {role.variable} }}}}",
        "loop_control": {"label": "{{ item.name }}", "index_var": f"{role.role}_index"},
        "register": f"{role.role}_applied",
    }
    return _yaml(role, [task])


def _yaml(role: ListRole, content: Any) -> str:
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1000)
    return HEADER.format(module=role.module) + text


class _Dumper(yaml.SafeDumper):
    """Lists indented, as ansible-lint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def outdated(write: bool) -> list[str]:
    """The files that do not say what the modules say; with ``write`` they are brought up to date."""
    found = []
    for role in (r for r in LIST_ROLES if r.module in collection.module_names()):
        for name, content in (("meta/argument_specs.yml", argument_specs(role)), ("tasks/apply.yml", apply_task(role))):
            path = role.folder / name
            if not path.exists() or path.read_text() != content:
                found.append(str(path.relative_to(collection.CHECKOUT)))
                if write:
                    path.write_text(content)
    return found


def main(check: bool) -> int:
    """0 where nothing was to be done (check) or could be done (write)."""
    link_collection()
    files = outdated(write=not check)
    print("\n".join(files))
    return 1 if check and files else 0
