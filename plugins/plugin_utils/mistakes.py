# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules would refuse of whole lists of entries, told on the controller before any of them runs.

The parsers are the modules' own. What only a host can tell is left to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..module_utils._core.errors import OptionError
from ..module_utils._kernel.terminal import shown
from ..module_utils._module import secrets, values
from ..module_utils._module.arguments.stack import MODULES, entries
from ..module_utils._module.explain import explain

Parser = Callable[[Mapping[str, Any]], Any]


def _parser(module: str) -> Parser:
    """What the module makes of its options, imported where there are any."""
    if module == "oci_image":
        from ..module_utils._images.options import desired_image

        return desired_image
    if module == "bridge_network":
        from ..module_utils._network.options import desired_from

        return desired_from
    if module == "netns_veth":
        return _link
    if module == "overlay_mount":
        from ..module_utils._overlay.resource import Overlay

        # Names of users are those of the host.
        return lambda given: Overlay().desired({**given, "owner": "0", "group": "0"})
    if module == "cgroup_v2":
        from ..module_utils._cgroup.resource import CgroupResource

        return CgroupResource().desired
    from ..module_utils._container.options import container_from

    return container_from


def _link(given: Mapping[str, Any]) -> Any:
    """Processes are those of the host."""
    from ..module_utils._links.resource import NetnsVeth

    of_process = any(end.get("pid") is not None for end in given.get("ends") or ())
    return None if of_process else NetnsVeth().desired(given)


def mistakes_in(module: str, listed: Any, variable: str) -> list[str]:
    """A text for each entry that the module refuses, with its place and name. Never the value of a secret."""
    if not isinstance(listed, (list, tuple)):
        return [f"{variable}: must be a list of dictionaries of options of {module}"]
    found = []
    for index, entry in enumerate(listed):
        if not isinstance(entry, Mapping):
            found.append(f"{variable}[{index}]: must be a dictionary of options of {module}")
        elif told := _mistake(module, entry):
            name = str(entry.get("name") or entry.get("path") or "no name")[:64]
            found.append(shown(f"{variable}[{index}] ({name}): {told}"))
    return found


def _mistake(module: str, entry: Mapping[str, Any]) -> str:
    rules = entries()[next(option for option, name in MODULES.items() if name == module)]
    spec = rules["argument_spec"]
    given = {str(name): value for name, value in entry.items()}
    if told := explain(module, given, spec):
        return told
    if misfit := values.misfit(spec, given):
        return ": ".join(misfit)
    result = ArgumentSpecValidator(**rules).validate(given)
    if result.error_messages:
        return "; ".join(result.error_messages)
    try:
        values.check(result.validated_parameters)
        _parser(module)({name: value for name, value in result.validated_parameters.items() if name != "depends_on"})
    except OptionError as error:
        return f"{error.option}: {error.message}" if secrets.is_secret(error.option, spec) else str(error)
    return ""
