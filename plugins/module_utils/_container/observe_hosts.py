# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is declared on this host, with which names and addresses, and what the hosts files say of it."""

from __future__ import annotations

import os

from .._core.observe_containers import declared
from .._core.observe_world import World
from .documents import directory
from .observe_host import known
from .plan_hosts import HostsObserved
from .plan_identity import Inhabitants, in_order


def observe_hosts(world: World) -> HostsObserved:
    """Raises KernelError."""
    records = dict(declared(world))
    everyone = {}
    for name, record in records.items():
        container = known(name, record, world)
        everyone[name] = container, in_order(container, record)
    texts = {name: world.files.text(f"{directory(name)}/hosts") for name in records}
    return HostsObserved(Inhabitants(everyone, os.uname().nodename), texts)
