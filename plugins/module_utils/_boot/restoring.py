# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings declared objects back at boot: what a unit of ours runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from .._core.converge import converge_locked
from .._kernel import files, terminal
from .._kernel.errors import BareKernelError
from .._kernel.notify import notify
from .resource import BootableResource


def restore(kinds: Sequence[type[BootableResource[Any, Any]]]) -> int:
    """Converge every object of these kinds, in this order. Returns the exit status.

    One failure does not stop the rest; what was done and what failed goes to the journal. All locks are held from
    beginning to end. Who holds one already may be a playbook that waits for the start of a container, and that start
    waits for us: so it is told that we are up, before we wait in turn.
    """
    failed = 0
    resources = [kind() for kind in kinds]
    with files.locked(*(lock for resource in resources for lock in resource.lock_names), when_busy=_step_back):
        for resource in resources:
            failed += _restore(resource)
    notify("READY=1")
    return 1 if failed else 0


def _step_back() -> None:
    sys.stdout.write("waiting for a playbook that changes this host\n")
    sys.stdout.flush()
    notify("READY=1")


def _restore(resource: BootableResource[Any, Any]) -> int:
    """Converge every object of one kind. Returns how many failed."""
    failed = 0
    for thing in resource.restorable():
        try:
            actions = converge_locked(resource, thing.desired()).plan.actions
        except BareKernelError as error:
            failed += 1
            sys.stderr.write(f"{resource.name} {thing.name}: {terminal.shown(str(error))}\n")
        else:
            for action in actions or ["nothing to do"]:
                sys.stdout.write(f"{resource.name} {thing.name}: {terminal.shown(action)}\n")
                sys.stdout.flush()
    return failed
