# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container's first process is: its own program, or a reaper that starts it, as ``--init`` of docker. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._core.errors import OptionError
from .observed import ContainerObserved
from .options_values import NONE, REAPER
from .records import Container

#: Where the container has the program: in its own /dev, a new file system in which no image has anything, and of which
#: nothing is left in what the container wrote.
PLACE = "/dev/init"
#: A mount there would hide it.
HIDDEN_BY = ("/dev", PLACE)


def args_with(program: str | None, args: Sequence[str]) -> list[str]:
    """The argv of the first process; ``program`` is the host's reaper, or None."""
    return [PLACE, "--", *args] if program else list(args)


def mounts_of(program: str | None) -> list[dict[str, Any]]:
    """What shows the program in the container, to be mounted after /dev and before anything that is declared."""
    if not program:
        return []
    options = ["bind", "ro", "nosuid", "nodev", "rprivate"]
    return [{"destination": PLACE, "type": "bind", "source": program, "options": options}]


def view_of(config: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The option as config.json has it, and the argv without it."""
    args = list(config["process"]["args"])
    shown = any(mount["destination"] == PLACE for mount in config["mounts"])
    return (REAPER, args[2:]) if shown and args[:2] == [PLACE, "--"] else (NONE, args)


def program_for(container: Container, observed: ContainerObserved) -> str | None:
    """The host's reaper: the one that the container has, as long as it is there, else the first one.

    Raises OptionError where there is none, and the container has none either that it may run on with.
    """
    if container.init != REAPER:
        return None
    had = (observed.record or {}).get("reaper")
    if had in observed.reapers or (had and not observed.reapers):  # what runs goes on; no start gets so far
        return str(had)
    if not observed.reapers:
        raise OptionError("init", container.init, observed.no_reaper)
    return observed.reapers[0]


def check_init(container: Container) -> None:
    """It is the first process of a process namespace, and nothing hides it. Raises OptionError."""
    if container.init == NONE:
        return
    pid = container.namespaces.get("pid", "private")
    if pid != "private":
        raise OptionError(
            "init", container.init, f"needs a process namespace of the container's own, and namespaces.pid is {pid}"
        )
    for index, mount in enumerate(container.mounts):
        if mount.target in HIDDEN_BY:
            raise OptionError(
                f"mounts[{index}].target",
                mount.target,
                f"hides the program of init, which is at {PLACE}: choose another place, or set init to {NONE}",
            )
