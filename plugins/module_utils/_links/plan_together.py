# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several pairs with an end in one namespace, changed by one plan: names and routes go from one to another. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .._core.operation import Operation
from .operations import SetLink, birth_name, veth_alias
from .plan import is_kept, lowered
from .records import PlaceObserved, VethDesired, VethObserved


@dataclass(frozen=True)
class Pair:
    """One of them as declared and as found; ``end`` is which of its ends is in that namespace."""

    desired: VethDesired
    observed: VethObserved
    end: int

    @property
    def alias(self) -> str:
        return veth_alias(self.desired.name, self.end)

    @property
    def wanted(self) -> str:
        return self.desired.ends[self.end].interface

    @property
    def current(self) -> str:
        """Its name where it stays in the namespace; empty where it is made there."""
        there = self.observed.ends[self.end]
        stays = there is not None and there.netns == self.desired.ends[self.end].netns and is_kept(self.observed)
        return there.interface if stays and there is not None else ""


def make_room(pairs: Sequence[Pair], going: Mapping[str, str]) -> tuple[list[Operation], list[VethObserved]]:
    """What has to be done before each is planned by itself, and each as it is then.

    ``going`` are ends that the same plan has removed before: alias to name. A name, an address or a route that such an
    end has, or another of the pairs, is no clash: the former is gone by then, and the latter steps aside.
    """
    names = {**{pair.alias: _name(pair) for pair in pairs}, **going}
    free = [replace(pair, observed=_without(pair, names)) for pair in pairs]
    operations: list[Operation] = []
    observed = []
    for pair in free:
        wanted_by_others = {other.wanted for other in free if other is not pair}
        if pair.current and pair.current != pair.wanted and pair.current in wanted_by_others:
            steps, there = _step_aside(pair)
            operations += steps
            observed.append(there)
        else:
            observed.append(pair.observed)
    return operations, observed


def _name(pair: Pair) -> str:
    there = pair.observed.ends[pair.end]
    return there.interface if there is not None else ""


def _without(pair: Pair, names: Mapping[str, str]) -> VethObserved:
    """The pair without the clashes that are none."""

    def freed(place: PlaceObserved) -> PlaceObserved:
        clash = None if place.clash is not None and place.clash.alias in names else place.clash
        taken = {ip: name for ip, name in place.taken.items() if name not in names.values()}
        routed = {key: name for key, name in place.routed.items() if name not in names.values()}
        return replace(place, clash=clash, taken=taken, routed=routed)

    places = [freed(place) if n == pair.end else place for n, place in enumerate(pair.observed.places)]
    return replace(pair.observed, places=(places[0], places[1]))


def _step_aside(pair: Pair) -> tuple[list[Operation], VethObserved]:
    """Under the name that an end has before it has its own, which a later run knows as well."""
    there = pair.observed.ends[pair.end]
    if there is None:
        return [], pair.observed
    operations: list[Operation] = []
    if there.up and not pair.observed.live_rename:
        why = "this kernel renames only what is down"
        operations.append(SetLink(there.interface, there.netns, up=False, why=why))
        there = lowered(there)
    aside = birth_name(pair.desired.name, pair.end)
    operations.append(SetLink(there.interface, there.netns, new_name=aside, why="another takes its name"))
    ends = [replace(there, interface=aside) if n == pair.end else end for n, end in enumerate(pair.observed.ends)]
    return operations, replace(pair.observed, ends=(ends[0], ends[1]))
