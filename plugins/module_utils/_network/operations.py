# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps by which a network's bridge is made, changed and removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._core.operation import Operation
from .._core.quantities import IPV6_MIN_MTU
from .._kernel.locations import PROTOCOL

if TYPE_CHECKING:
    from .._core.observe_world import World


@dataclass(frozen=True)
class CreateBridge(Operation):
    """A bridge with that MAC address and MTU, bearing our mark; it is down."""

    name: str
    mac: str
    mtu: int
    alias: str

    def describe(self) -> str:
        return f"create bridge {self.name} (MAC {self.mac}, MTU {self.mtu})"

    def execute(self, kernel: Any) -> None:
        # With the address in the creating message it is NET_ADDR_SET: udev's MACAddressPolicy leaves it alone.
        # Changing the MTU afterwards pins it; a bridge otherwise follows its smallest port.
        other = self.mtu - 1 if self.mtu > IPV6_MIN_MTU else self.mtu + 1
        kernel.netlink_links.create_link(self.name, "bridge", address=self.mac, mtu=other)
        kernel.netlink_links.set_link(self.name, alias=self.alias, mtu=self.mtu)

    def expect(self, world: World) -> None:
        from .._core.observe_links import expect_link  # here, as below: one object alone has nobody to tell
        from .._kernel.netlink_links import Link

        expect_link(world, Link(0, self.name, "bridge", self.mac, self.mtu, False, False, self.alias))
        # What an interface begins with; a plan that has it otherwise says so by an operation of its own.
        world.expect_sysctl(f"net/ipv4/conf/{self.name}/route_localnet", "0")


@dataclass(frozen=True)
class SetBridge(Operation):
    """Change a living bridge; None leaves a property alone."""

    name: str
    mac: str | None = None
    mtu: int | None = None
    alias: str | None = None
    up: bool | None = None

    def describe(self) -> str:
        parts = [f"MAC {self.mac}" if self.mac else "", f"MTU {self.mtu}" if self.mtu else ""]
        parts += [f"alias {self.alias}" if self.alias else "", {True: "up", False: "down", None: ""}[self.up]]
        return f"set bridge {self.name} " + ", ".join(part for part in parts if part)

    def execute(self, kernel: Any) -> None:
        kernel.netlink_links.set_link(self.name, mac=self.mac, mtu=self.mtu, alias=self.alias, up=self.up)

    def expect(self, world: World) -> None:
        from .._core.observe_links import expect_changed
        from .._kernel.namespaces import HOST

        given = {"mac": self.mac, "mtu": self.mtu, "alias": self.alias, "up": self.up}
        expect_changed(world, self.name, HOST, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class DeleteBridge(Operation):
    """Remove a bridge with all its addresses; its ports, if any, stay without a master."""

    name: str

    def describe(self) -> str:
        return f"delete bridge {self.name}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_links.delete_link(self.name)

    def expect(self, world: World) -> None:
        from .._core.observe_links import expect_gone

        expect_gone(world, self.name)


@dataclass(frozen=True)
class AddBridgeAddress(Operation):
    """Give the bridge an address; adding one that is there changes nothing."""

    bridge: str
    address: str

    def describe(self) -> str:
        return f"add address {self.address} to bridge {self.bridge}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_ip.add_address(self.bridge, self.address, protocol=PROTOCOL)

    def expect(self, world: World) -> None:
        from .._core.observe_links import expect_addresses

        expect_addresses(world, self.bridge, come=self.address)


@dataclass(frozen=True)
class RemoveBridgeAddress(Operation):
    """Take an address from the bridge; one that is gone is fine."""

    bridge: str
    address: str

    def describe(self) -> str:
        return f"remove address {self.address} from bridge {self.bridge}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_ip.remove_address(self.bridge, self.address)

    def expect(self, world: World) -> None:
        from .._core.observe_links import expect_addresses

        expect_addresses(world, self.bridge, goes=self.address)
