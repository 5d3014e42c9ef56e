# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The networks that are declared on this host, as they are recorded."""

from __future__ import annotations

import os
from typing import Any

from .._boot.resource import recorded as records_in
from .._core.names import check_name
from .._core.observe_world import World
from .._kernel import files, locations
from .records import Network, from_json


def record_path(name: str) -> str:
    """Where the network of that name is recorded."""
    return f"{locations.NETWORKS}/{name}.json"


def read_network(name: str, world: World) -> Network | None:
    """The network as declared on this host, None where there is none of that name.

    Raises OptionError for a name that cannot be one, KernelError (EBADMSG for a record that is damaged or of a newer
    version).
    """
    check_name("network", name)
    plain = world.files.record(record_path(name))
    return None if plain is None else _decoded(name, plain)


def read_networks(world: World) -> tuple[Network, ...]:
    """Every network declared on this host, by name. Raises KernelError."""
    return tuple(n for n in (read_network(name, world) for name in recorded(world)) if n is not None)


def recorded(world: World) -> list[str]:
    """The names of the networks declared on this host. Raises KernelError."""
    return records_in(locations.NETWORKS, world)


def _decoded(name: str, plain: Any) -> Network:
    try:
        return from_json(plain)
    except (KeyError, TypeError, AttributeError):
        raise files.damaged(record_path(name)) from None


def host_identity() -> str:
    """What tells this host from its clones: machine ID, the board's UUID and the host's name."""
    texts = [files.read_text(path) for path in ("/etc/machine-id", "/sys/class/dmi/id/product_uuid")]
    return "\n".join([*(text.strip() for text in texts if text is not None), os.uname().nodename])
