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

from ..module_utils._container.options import container_from
from ..module_utils._core.errors import OptionError
from ..module_utils._images.options import desired_image
from ..module_utils._kernel.terminal import shown
from ..module_utils._module import secrets, values
from ..module_utils._module.arguments.container import container
from ..module_utils._module.arguments.image_config import image_config
from ..module_utils._module.arguments.image_source import IMAGE_SOURCES, image_source
from ..module_utils._module.arguments.network import network
from ..module_utils._module.explain import explain
from ..module_utils._network.options import desired_from

Parser = Callable[[Mapping[str, Any]], Any]

_COMMON: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "force": {"type": "bool", "default": False},
}


def _image() -> dict[str, Any]:
    return {**_COMMON, "verify": {"type": "bool", "default": False}, **image_source(), **image_config()}


#: By module: its argument spec, options of which it takes one, and its parser.
_MODULES: dict[str, tuple[Callable[[], dict[str, Any]], list[Any], Parser]] = {
    "oci_image": (_image, [IMAGE_SOURCES], desired_image),
    "bridge_network": (lambda: {**_COMMON, **network()}, [], desired_from),
    "ns_container": (container, [], container_from),
}


def mistakes_in(module: str, entries: Any, variable: str) -> list[str]:
    """A text for each entry that the module refuses, with the place and name of the entry. Never the value of a secret.

    What is no list at all is left to the argument spec of the role.
    """
    found = []
    for index, entry in enumerate(entries if isinstance(entries, (list, tuple)) else ()):
        if not isinstance(entry, Mapping):
            found.append(f"{variable}[{index}]: must be a dictionary of options of {module}")
        elif told := _mistake(module, entry):
            found.append(shown(f"{variable}[{index}] ({str(entry.get('name', 'no name'))[:64]}): {told}"))
    return found


def _mistake(module: str, entry: Mapping[str, Any]) -> str:
    make_spec, alternatives, parser = _MODULES[module]
    spec = make_spec()
    given = {str(name): value for name, value in entry.items()}
    if told := explain(module, given, spec):
        return told
    if misfit := values.misfit(spec, given):
        return ": ".join(misfit)
    result = ArgumentSpecValidator(spec, mutually_exclusive=alternatives).validate(given)
    if result.error_messages:
        return "; ".join(result.error_messages)
    try:
        values.check(result.validated_parameters)
        parser(result.validated_parameters)
    except OptionError as error:
        return f"{error.option}: {error.message}" if secrets.is_secret(error.option, spec) else str(error)
    return ""
