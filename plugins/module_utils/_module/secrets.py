# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which parameters of a task are secret, and the parameters without them. Pure.

An option is secret where its argument spec says ``no_log``. Ansible then searches each of its values in every text of
the result, which is right for a password and wrong for an environment: ``DEBUG: "1"`` would take each 1 out of the
result, port numbers and PIDs included. So only passwords are searched for; all else that is secret is hidden by option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: What Ansible itself writes in place of such a value.
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
#: The password of a URL, as a package mirror that asks for one has it.
_URL = re.compile(r"://[^/@:\s]*:([^/@\s]+)@")


def shown(params: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as they may be shown. The names of secret variables stay; so do those of unknown options, but
    nobody knows what their values are: ``enviroment`` may be meant to be secret."""
    names = _canonical(spec)
    return {
        name: _shown(value, spec[names[name]]) if name in names else _hidden(value) for name, value in params.items()
    }


def passwords(params: Mapping[str, Any], spec: Mapping[str, Any]) -> set[str]:
    """What must not appear anywhere in a result."""
    found = {text for name, text in _secret_texts(params, spec) if name == "password" and text}
    return found | {match for text in _texts(params) for match in _URL.findall(text)}


def is_secret(option: str, spec: Mapping[str, Any]) -> bool:
    """Whether a value at this path (``env.HOME``, ``registry.password``) is not to be shown."""
    for word in option.split("."):
        name = word.partition("[")[0]
        entry = spec.get(_canonical(spec).get(name, name))
        if entry is None:
            return False
        if entry.get("no_log"):
            return True
        spec = entry.get("options") or {}
    return False


def _canonical(spec: Mapping[str, Any]) -> dict[str, str]:
    """Each name and alias, with the name."""
    return {alias: name for name, option in spec.items() for alias in (name, *option.get("aliases", ()))}


def _shown(value: Any, option: Mapping[str, Any]) -> Any:
    if option.get("no_log"):
        return _hidden(value)
    inner = option.get("options")
    if not inner or value is None:
        return value
    if isinstance(value, Mapping):
        return shown(value, inner)
    if isinstance(value, list) and option.get("type") == "list":
        return [shown(each, inner) if isinstance(each, Mapping) else _shown_odd(each, inner) for each in value]
    return _shown_odd(value, inner)


def _shown_odd(value: Any, inner: Mapping[str, Any]) -> Any:
    """What should have been a dictionary: it may be one with secrets, written as text or as a list."""
    return HIDDEN if any(option.get("no_log") for option in inner.values()) else value


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict.fromkeys(value, HIDDEN)
    return value if value is None else HIDDEN


def _secret_texts(params: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, option in spec.items():
        value = params.get(name)
        if option.get("no_log"):
            yield from ((name, text) for text in _texts(value))
        elif option.get("options"):
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, Mapping):
                    yield from _secret_texts(each, option["options"])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
