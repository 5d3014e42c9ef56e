# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task declares of a container, held against what is recorded of it. Pure.

An option that a task does not name is at its default, and so is one that is to go back to it. Where a task only wants
another state, the two are not the same: then the recorded declaration counts (``meant``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from .._core.errors import OptionError, Refused
from .._core.operation import LIVE, Change
from .._image.errors import ImageError
from .._image.format.reference import parse
from .._kernel.errors import absent
from .records import OPTIONS, UNDECLARED, Container

#: Fields of a Container that say what to do with it now, or how: none of them declares what it is.
_OF_THE_TASK = (*(name for name, each in OPTIONS.items() if each.of_task), "just_started", "params")
#: Fields that a task may set and still want nothing but another state.
_NO_OPTIONS = frozenset({*_OF_THE_TASK, "name", "image", "limits_required"})
#: States that a task may want of a container without declaring it again, although it names its image.
_STATES_ALONE = ("restarted", "stopped")


def options_of(container: Container) -> dict[str, Any]:
    """The options that are not at their defaults, image aside; values that may be secret only by their names."""
    found: dict[str, Any] = {}
    for each in fields(Container):
        value = getattr(container, each.name)
        if each.name in _NO_OPTIONS or value == getattr(UNDECLARED, each.name):
            continue
        option = "restart_policy" if each.name == "restart_retries" else each.name
        found[option] = sorted(value) if option == "env" else _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Tuples and records as lists and dictionaries."""
    if hasattr(value, "__dataclass_fields__"):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def check_image(container: Container) -> None:
    """A container that is declared has an image. Raises OptionError."""
    given = sorted(options_of(container))
    if container.state != "absent" and not container.image and given:
        raise OptionError(
            "image",
            container.image,
            f"is needed beside {_listed(given)}: name an image made by oci_image, or set no option but name and state "
            "to keep what the container was declared with",
        )


def meant(container: Container, recorded: Container | None) -> Container:
    """The container that a task is about: as the task declares it or, where it only names a state, as recorded.

    That is where it sets no option but name and state, or for ``restarted`` and ``stopped`` the recorded image too.
    Raises Refused where nothing is recorded.
    """
    if container.state == "absent" or options_of(container):
        return container
    if container.image is None and recorded is None:
        why = "no container of that name is declared on this host; declare it with its image"
        raise absent(Refused(f"name: '{container.name}': {why}"))
    alone = container.image is None or (container.state in _STATES_ALONE and _same_image(container, recorded))
    if not alone or recorded is None:
        return container
    return replace(recorded, **{name: getattr(container, name) for name in ("state", "just_started")})


def _same_image(container: Container, recorded: Container | None) -> bool:
    if recorded is None or not recorded.image:
        return False
    try:
        return str(parse(container.image or "")) == str(parse(recorded.image))
    except ImageError:  # whoever looks for the image says what is wrong with its name
        return False


def dropped(container: Container, recorded: Container | None) -> tuple[str, ...]:
    """A warning where a task that wants a state declares the container again with less than is recorded."""
    if recorded is None or container.state not in _STATES_ALONE:
        return ()
    gone = sorted(set(options_of(recorded)) - set(options_of(container)))
    if not gone:
        return ()
    return (
        f"container {container.name}: {_listed(gone)} of its declaration "
        f"{'is' if len(gone) == 1 else 'are'} dropped, as this task does not set "
        f"{'it' if len(gone) == 1 else 'them'}. To keep a declaration, set only name and state",
    )


def declares_the_same(container: Container, recorded: Container | None) -> bool:
    """Whether both mean the same container, however the options are spelled."""
    task = {name: getattr(UNDECLARED, name) for name in _OF_THE_TASK}
    return recorded is not None and replace(container, **task) == replace(recorded, **task)


def declared_otherwise(container: Container, recorded: Container | None) -> tuple[Change, ...]:
    """Options whose declaration differs from the recorded one, whatever that comes to."""
    if recorded is None:
        return ()
    before, after = options_of(recorded), options_of(container)
    both = {**before, "image": recorded.image, "limits_required": recorded.limits_required}
    now = {**after, "image": container.image, "limits_required": container.limits_required}
    return tuple(
        Change(option, both.get(option), now.get(option), LIVE)
        for option in sorted({*both, *now})
        if both.get(option) != now.get(option)
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
