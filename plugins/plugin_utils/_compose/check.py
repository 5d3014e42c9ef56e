# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last word on what was translated: the options pass the parsers of the very modules that will get them.

What a module refuses is told with the line of the Compose file that the option comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils._container.options import container_from
from ...module_utils._core.errors import OptionError
from ...module_utils._images.options import desired_image
from ...module_utils._module.arguments.container import container
from ...module_utils._module.arguments.image_config import image_config
from ...module_utils._module.arguments.image_source import image_source
from ...module_utils._module.arguments.network import network
from ...module_utils._network.ipam import check_address
from ...module_utils._network.options import desired_from
from .errors import Place, Problems
from .options import Options

_NAME = {"name": {"type": "str", "required": True}}
_PRESENT = {**_NAME, "state": {"type": "str", "default": "present"}}
#: Of ns_container's options, what stack alone takes.
_OF_STACK = ("depends_on",)
#: What an option needs beside itself to be looked at alone.
_WITHOUT_WHICH_NOTHING = ("name", "image")
Parser = Callable[[Mapping[str, Any]], Any]


def check(
    images: Iterable[Options], networks: Iterable[Options], containers: Iterable[Options], problems: Problems
) -> None:
    """Tell ``problems`` of everything that oci_image, bridge_network or ns_container would refuse."""
    for image in images:
        _checked(image, {**_PRESENT, **image_source(), **image_config()}, desired_image, problems)
    known: dict[str, Any] = {}
    for each in networks:
        desired = _checked(each, {**_PRESENT, **network()}, desired_from, problems)
        known[each.values["name"]] = desired.network if desired is not None else None
    names: dict[str, Place] = {}
    for options in containers:
        name = options.values["name"]
        if name in names:
            problems.wrong(options.place_of("name"), f"has the container name of {names[name]}", name)
        names.setdefault(name, options.place_of("name"))
        options.values.setdefault("image", "missing")  # of which the user is told already
        _checked(options, container(), container_from, problems)
        _check_addresses(options, known, problems)


def _checked(options: Options, spec: Mapping[str, Any], parser: Parser, problems: Problems) -> Any:
    """What the module makes of the options, or None where it refuses any."""
    given = {name: value for name, value in options.values.items() if name not in _OF_STACK}
    validator = ArgumentSpecValidator(dict(spec))

    def parsed(params: Mapping[str, Any]) -> Any:
        result = validator.validate(dict(params))
        if result.error_messages:
            raise OptionError(_named_in(result.error_messages[0], params), None, "; ".join(result.error_messages))
        return parser(result.validated_parameters)

    for attempt in range(len(given) + 1):
        try:
            found = parsed(given)
            return found if attempt == 0 else None
        except OptionError as error:
            _tell(options, error, problems)
            top = re.split(r"[.\[]", error.option)[0]
            if top not in given:
                return None
            if top in _WITHOUT_WHICH_NOTHING:
                given[top] = "any"
                continue
            alone = {name: value for name, value in given.items() if name in _WITHOUT_WHICH_NOTHING}
            for part, index in _parts(given.pop(top)):
                _try_part(options, {**alone, top: part}, (top, index), parsed, problems)
    return None


def _parts(value: Any) -> Iterator[tuple[Any, int]]:
    """The elements of an option each by itself: a module names only the first one that it refuses."""
    if isinstance(value, list):
        yield from (([element], index) for index, element in enumerate(value))
    elif isinstance(value, dict):
        yield from (({name: inner}, 0) for name, inner in value.items())


def _try_part(
    options: Options, params: Mapping[str, Any], where: tuple[str, int], parsed: Parser, problems: Problems
) -> None:
    top, index = where
    try:
        parsed(params)
    except OptionError as error:
        refused = OptionError(error.option.replace(f"{top}[0]", f"{top}[{index}]", 1), error.value, error.message)
        _tell(options, refused, problems)


def _named_in(message: str, params: Mapping[str, Any]) -> str:
    """The option that a message of Ansible's is about."""
    return next((name for name in params if re.search(rf"\b{re.escape(name)}\b", message)), "")


def _tell(options: Options, error: OptionError, problems: Problems) -> None:
    shown = () if error.value is None else (error.value,)
    hint = f"; {options.hint}" if options.hint and error.option == "name" else ""
    problems.wrong(options.place_of(_exactly(options, error)), error.message + hint, *shown)


def _exactly(options: Options, error: OptionError) -> str:
    """A module names a list or a dictionary, and the element or name that it refuses as the value."""
    whole = options.value_of(error.option)
    if isinstance(whole, list) and error.value in whole:
        return f"{error.option}[{whole.index(error.value)}]"
    if isinstance(whole, dict) and isinstance(error.value, str) and error.value in whole:
        return f"{error.option}.{error.value}"
    return error.option


def _check_addresses(options: Options, networks: Mapping[str, Any], problems: Problems) -> None:
    """A fixed address lies in its network, where this file declares that."""
    for index, attachment in enumerate(options.values.get("networks") or ()):
        found = networks.get(attachment["name"])
        if found is None:
            continue
        for address in attachment.get("addresses", ()):
            try:
                check_address(found, address, f"networks[{index}].addresses")
            except OptionError as error:
                _tell(options, error, problems)
