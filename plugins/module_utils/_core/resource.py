# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a resource is: options in, desired state, observed state, plan."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from .._kernel.kernel import Kernel
from .errors import CommandFailed, OptionError, Refused
from .observe_world import World
from .operation import Plan

__all__ = ["CommandFailed", "OptionError", "Refused", "Resource"]

Desired = TypeVar("Desired")
Observed = TypeVar("Observed")


class Resource(Generic[Desired, Observed]):
    """A kind of object. Stateless: one instance serves any number of objects.

    The order of calls is always desired(), then under the locks observe(), plan(), the operations, observe(), plan().
    Where somebody else holds them, glance() and plan() come first, and are all if they find nothing to do.
    """

    #: The module's name.
    name: str = ""
    #: Whether only root can do it; the runner says so before anything is read.
    needs_root: bool = True
    #: Where it keeps something between runs (directories of locations.py), and whether containers run from there.
    keeps: tuple[str, ...] = ()
    keeps_layers: bool = False
    #: Whether it uses _kernel/netlink*.py; the runner then finds an interpreter that has pyroute2.
    needs_pyroute2: bool = False

    def desired(self, params: Mapping[str, Any]) -> Desired:
        """Options to a frozen desired state. Raises OptionError; does no I/O beyond name look-ups."""
        raise NotImplementedError

    def locks(self, desired: Desired) -> tuple[str, ...]:
        """Names of the host-wide locks to hold while observing and changing."""
        raise NotImplementedError

    def own_locks(self, desired: Desired) -> tuple[str, ...]:
        """Names of the locks of the object alone, which are held while its processes end and start: none by default.

        They are taken before any other.
        """
        return ()

    def observe(self, desired: Desired, world: World) -> Observed:
        """Read the live state of what ``desired`` is about. Changes nothing. Raises KernelError.

        What plans of other objects may change is read through ``world``, so that it is seen as they will leave it.
        """
        raise NotImplementedError

    def glance(self, desired: Desired, world: World) -> Observed | None:
        """The same while somebody else holds the locks, where it can be told then: what another one is about to change
        is taken as it is, and what he has half-made as not there. None where it cannot, as by default."""
        return None

    def waiting(self, desired: Desired) -> contextlib.AbstractContextManager[object]:
        """Entered while somebody else holds the locks and something has to be done: to say so."""
        return contextlib.nullcontext()

    def plan(self, desired: Desired, observed: Observed) -> Plan:
        """Pure. Raises Refused."""
        raise NotImplementedError

    def complete(self, desired: Desired, plan: Plan, world: World) -> Plan:
        """The plan with what no planner of one object can know, such as what has to be kept for the next boot."""
        return plan

    def followers(self) -> tuple[Resource[Any, Any], ...]:
        """What depends on objects of this kind and is planned anew after any of them changed; without desired state."""
        return ()

    def before(self, desired: Desired, world: World) -> Any:
        """What the end of its process changes, as it is before it; None for an object without one."""
        return None

    def as_before(self, desired: Desired, before: Any, world: World) -> None:
        """Have the world as before the process was ended, so that the object is planned anew as one that runs."""

    def starting(self) -> contextlib.AbstractContextManager[object]:
        """Entered while processes of many objects of this kind are started, by many threads."""
        return contextlib.nullcontext()

    def settle(self, desired: Desired) -> None:
        """Wait until a second look can tell whether what was started runs on."""

    def runs_on(self, desired: Desired) -> bool:
        """Whether what was just started has not failed at once; waits until that can be told."""
        return True

    def await_condition(self, desired: Desired, condition: str) -> None:
        """Wait until its process is ``healthy`` or has ``completed`` (fold.py). Raises CommandFailed, Refused."""

    def settled(self, desired: Desired) -> Desired:
        """What must hold once ``desired`` was applied: the same, unless it is an event (``restarted``) and no state."""
        return desired

    def facts(self, desired: Desired, observed: Observed) -> dict[str, Any]:
        """What the module returns beside the plan, e.g. ``{"container": {...}}``; nothing by default."""
        return {}

    def results(self, returned: Sequence[Any]) -> dict[str, Any]:
        """What the module returns of what its operations returned, for one whose point is an answer.

        Raises CommandFailed.
        """
        return {}

    def kernel(self) -> Any:
        """What its operations are executed with."""
        return Kernel()
