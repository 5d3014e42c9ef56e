# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations on interfaces, and what their names and addresses are made from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._core import observe_links
from .._core.operation import Caveat, Operation
from .._kernel import locations
from .._kernel.errors import KernelError
from .._kernel.namespaces import NetnsRef
from .._kernel.netlink_links import Link

if TYPE_CHECKING:
    from .._core.observe_world import World

#: Held by whoever changes interfaces, so that a name seen free is still free when it is taken.
LOCK = "links"


def veth_alias(name: str, end: int) -> str:
    """The mark of one end (0 or 1) of the pair of that name."""
    return f"{locations.MARK}:veth/{name}/{end}"


def birth_name(name: str, end: int) -> str:
    """What an end is called until it has its alias: the kernel takes no alias in the message that makes a link, so
    a run killed in between leaves this name, which the next one knows."""
    return f"bk{hashlib.sha256(name.encode()).hexdigest()[:11]}{'ab'[end]}"


@dataclass(frozen=True)
class CreateVeth(Operation):
    """A veth pair, both ends down: each end is (namespace, name, MAC address, MTU)."""

    name: str
    first: tuple[NetnsRef, str, str, int]
    second: tuple[NetnsRef, str, str, int]

    def describe(self) -> str:
        ends = [f"{name} in {netns} ({mac}, MTU {mtu})" for netns, name, mac, mtu in (self.first, self.second)]
        return f"create veth pair {self.name}: {ends[0]}, {ends[1]}"

    def execute(self, kernel: Any) -> None:
        ends = (self.first, self.second)
        born = [(netns, birth_name(self.name, i), mac, mtu) for i, (netns, _name, mac, mtu) in enumerate(ends)]
        kernel.netlink_links.create_veth(*born)
        for i, (netns, name, _mac, _mtu) in enumerate(ends):
            alias = veth_alias(self.name, i)
            kernel.netlink_links.set_link(birth_name(self.name, i), netns, alias=alias, new_name=name)

    def expect(self, world: World) -> None:
        for i, (netns, name, mac, mtu) in enumerate((self.first, self.second)):
            made = Link(0, name, "veth", mac, mtu, False, False, veth_alias(self.name, i))
            observe_links.expect_link(world, made, netns)


@dataclass(frozen=True)
class SetLink(Operation):
    """Change what is not None on an interface; bridge "" takes it out of its bridge."""

    link: str
    netns: NetnsRef
    mac: str | None = None
    mtu: int | None = None
    up: bool | None = None
    bridge: str | None = None
    new_name: str | None = None
    move_to: NetnsRef | None = None
    why: str = ""

    def describe(self) -> str:
        parts = []
        if self.move_to is not None:
            parts.append(f"move to {self.move_to}")
        if self.new_name is not None:
            parts.append(f"rename to {self.new_name}")
        if self.mac is not None:
            parts.append(f"set MAC {self.mac}")
        if self.mtu is not None:
            parts.append(f"set MTU {self.mtu}")
        if self.bridge is not None:
            parts.append(f"make it a port of bridge {self.bridge}" if self.bridge else "take it out of its bridge")
        if self.up is not None:
            parts.append("set up" if self.up else "set down")
        return f"{self.link} in {self.netns}: {', '.join(parts)}" + (f" ({self.why})" if self.why else "")

    def execute(self, kernel: Any) -> None:
        kernel.netlink_links.set_link(
            self.link,
            self.netns,
            new_name=self.new_name,
            move_to=self.move_to,
            master=self.bridge,
            up=self.up,
            mtu=self.mtu,
            mac=self.mac,
        )

    def expect(self, world: World) -> None:
        name, place = self.new_name or self.link, self.move_to or self.netns
        if (name, place) != (self.link, self.netns):
            observe_links.expect_moved(world, self.link, self.netns, name, place)
        given: dict[str, Any] = {"mac": self.mac, "mtu": self.mtu, "up": self.up}
        changed = {option: value for option, value in given.items() if value is not None}
        if self.bridge is not None:
            there = observe_links.link(world, self.bridge, place) if self.bridge else None
            changed["master"] = there.index if there is not None else 0
        observe_links.expect_changed(world, name, place, **changed)


@dataclass(frozen=True)
class SetPort(Operation):
    """Flags of a bridge port; None leaves one alone."""

    link: str
    netns: NetnsRef
    hairpin: bool | None = None
    isolated: bool | None = None

    def describe(self) -> str:
        flags = [("hairpin", self.hairpin), ("isolated", self.isolated)]
        words = [f"{name} {'on' if value else 'off'}" for name, value in flags if value is not None]
        return f"{self.link} in {self.netns}: set bridge port flag {', '.join(words)}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_links.set_port(self.link, self.netns, hairpin=self.hairpin, isolated=self.isolated)


@dataclass(frozen=True)
class PinPort(Operation):
    """Have the bridge know one MAC address behind a port, and learn none: what is there can neither take a neighbour's
    place nor fill the bridge's table."""

    link: str
    netns: NetnsRef
    mac: str

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: have its bridge learn no MAC address but {self.mac}"

    def execute(self, kernel: Any) -> None:
        # Off first, or what was learned in between would stay.
        kernel.netlink_links.set_port(self.link, self.netns, learning=False)
        kernel.netlink_fdb.pin(self.link, self.mac, self.netns)


@dataclass(frozen=True)
class GuardPort(Operation):
    """Drop what comes in by a port for the loopback addresses of the host, or as if from them: a network that publishes
    on 127.0.0.1 lets its bridge route them (route_localnet), and the firewall rules that guard it can be flushed."""

    link: str
    netns: NetnsRef

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: drop what comes in for 127.0.0.0/8 or from it"

    def execute(self, kernel: Any) -> Caveat | None:
        try:
            kernel.netlink_filter.guard(self.link, self.netns)
        except KernelError as error:
            if not kernel.netlink_filter.is_missing(error):
                raise
            return Caveat(
                f"this kernel cannot filter what comes in by {self.link} ({error}): only firewall rules keep it from "
                "the host's 127.0.0.1. The modules sch_ingress and cls_bpf are needed"
            )
        return None


@dataclass(frozen=True)
class UnguardPort(Operation):
    """Undo GuardPort."""

    link: str
    netns: NetnsRef

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: no longer drop what comes in for 127.0.0.0/8 or from it"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_filter.unguard(self.link, self.netns)


@dataclass(frozen=True)
class DeleteLink(Operation):
    """Remove an interface; a veth takes its other end along."""

    link: str
    netns: NetnsRef
    why: str = ""

    def describe(self) -> str:
        return f"delete interface {self.link} in {self.netns}" + (f" ({self.why})" if self.why else "")

    def execute(self, kernel: Any) -> None:
        kernel.netlink_links.delete_link(self.link, self.netns)

    def expect(self, world: World) -> None:
        observe_links.expect_gone(world, self.link, self.netns)
