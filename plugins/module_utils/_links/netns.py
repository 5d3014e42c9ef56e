# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named network namespaces: made, owned, looped back, and removed when nothing needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._core import observe_links
from .._core.errors import Refused
from .._core.operation import Operation
from .._kernel.namespaces import NetnsRef
from .._kernel.netns import NamedNetns
from .operations import SetLink
from .sysctls import check_sysctls, plan_sysctls

if TYPE_CHECKING:
    from .._core.observe_world import World

UNUSED, ALWAYS, NEVER = "unused", "always", "never"


@dataclass(frozen=True)
class NetnsDesired:
    """A named network namespace.

    ``idmap`` is the (host ID, size) of the user namespace that shall own it, None for the host's own. ``any_owner``
    leaves the owner of one that exists alone, ``adopt`` uses one that is not ours as it is.
    """

    name: str
    idmap: tuple[int, int] | None = None
    sysctls: tuple[tuple[str, str], ...] = ()
    any_owner: bool = False
    adopt: bool = False

    @property
    def ref(self) -> NetnsRef:
        return NetnsRef.named(self.name)


@dataclass(frozen=True)
class NetnsObserved:
    """What is behind the name (None: nothing) and inside.

    ``sysctls`` are the live values of those asked for, None for one that the kernel does not have; ``samples`` and
    ``refused`` as in PlaceObserved. ``links`` are the interfaces other than loopback and the kernel's own tunnel
    devices; ``processes`` are PIDs. ``container`` is the container whose network namespace this is, where that is asked
    and there is one.
    """

    named: NamedNetns | None = None
    loopback_up: bool = False
    sysctls: Mapping[str, str | None] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    processes: tuple[int, ...] = ()
    samples: Mapping[str, str | None] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    container: str = ""

    @property
    def exists(self) -> bool:
        return self.named is not None and self.named.identity is not None


@dataclass(frozen=True)
class CreateNetns(Operation):
    """A named network namespace of ours, loopback up."""

    name: str
    idmap: tuple[int, int] | None = None

    def describe(self) -> str:
        owner = f", owned by {_range(self.idmap)}" if self.idmap else ""
        return f"create netns {self.name}{owner}"

    def execute(self, kernel: Any) -> None:
        kernel.netns.create_named_netns(self.name, self.idmap)

    def expect(self, world: World) -> None:
        observe_links.expect_netns(world, self.name, self.idmap)


@dataclass(frozen=True)
class DeleteNetns(Operation):
    """Remove a named network namespace of ours; what is in it goes with its last process."""

    name: str

    def describe(self) -> str:
        return f"delete netns {self.name}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink.forget(NetnsRef.named(self.name))
        kernel.netns.delete_named_netns(self.name)

    def expect(self, world: World) -> None:
        observe_links.expect_no_netns(world, self.name)


def plan_netns(desired: NetnsDesired, observed: NetnsObserved, option: str = "namespaces[0]") -> list[Operation]:
    """Have the namespace, which ``option`` declares. Raises Refused for a name that is not ours and for another owner,
    as nothing can change one, and OptionError for sysctls."""
    named = observed.named
    check_sysctls(f"{option}.sysctls", desired.sysctls, observed.samples, observed.refused)
    if named is None or (named.identity is None and named.ours):
        sysctls = plan_sysctls(desired.ref, desired.sysctls, {})
        return [CreateNetns(desired.name, desired.idmap), *sysctls]
    _check(desired, observed)
    operations: list[Operation] = []
    if not observed.loopback_up and named.ours:
        operations.append(SetLink("lo", desired.ref, up=True))
    return operations + plan_sysctls(desired.ref, desired.sysctls, observed.sysctls)


def _check(desired: NetnsDesired, observed: NetnsObserved) -> None:
    named = observed.named
    if named is None:
        return
    if named.identity is None:
        raise Refused(f"/run/netns/{desired.name} is no network namespace and not ours: remove that file first")
    if not named.ours and not desired.adopt:
        raise Refused(f"netns {desired.name} exists and is not ours: choose another name, or `ip netns delete` it")
    if not desired.any_owner and named.idmap != desired.idmap:
        raise Refused(
            f"netns {desired.name} is owned by {_range(named.idmap)}, wanted is "
            f"{_range(desired.idmap)}: the owner of a namespace never changes, so remove it first (state: absent)"
        )


def plan_netns_absent(
    name: str, observed: NetnsObserved, when: str = UNUSED, leaving: frozenset[str] = frozenset()
) -> list[Operation]:
    """Not have it: with ``unused`` only where it is ours and holds no process and no interface but ``leaving``. That of
    a container stays in any case: it goes with the container.

    Raises Refused for ``always`` and one that is not ours.
    """
    named = observed.named
    if named is None or when == NEVER or observed.container:
        return []
    if not named.ours:
        if when == ALWAYS:
            raise Refused(f"netns {name} is not ours: `ip netns delete {name}` removes it")
        return []
    if when == UNUSED and (observed.processes or set(observed.links) - leaving):
        return []
    return [DeleteNetns(name)]


def _range(idmap: tuple[int, int] | None) -> str:
    return f"a user namespace of host IDs {idmap[0]}-{idmap[0] + idmap[1] - 1}" if idmap else "the host"
