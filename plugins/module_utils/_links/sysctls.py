# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel parameters of a network namespace."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._core.errors import OptionError
from .._core.operation import Operation
from .._kernel.namespaces import NetnsRef
from .._kernel.sysctl_carried import carried, in_order
from .._kernel.sysctl_names import path_of
from .sysctl_values import GIVEN_NUMBERS, SHOWN_NUMBERS, is_mask, same_value

if TYPE_CHECKING:
    from .._core.observe_world import World


@dataclass(frozen=True)
class SetSysctl(Operation):
    """Set a parameter in a network namespace."""

    netns: NetnsRef
    name: str
    value: str

    def describe(self) -> str:
        return f"set sysctl {self.name} to {self.value!r} in {self.netns}"

    def execute(self, kernel: Any) -> None:
        kernel.sysctl.write(self.name, self.value, self.netns)

    def expect(self, world: World) -> None:
        world.expect_sysctl(self.name, self.value, self.netns)


@dataclass(frozen=True)
class SetSysctls(Operation):
    """Set parameters in a network namespace, for one reason."""

    netns: NetnsRef
    values: tuple[tuple[str, str], ...]
    why: str

    def describe(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.values)
        return f"set sysctls in {self.netns} ({self.why}): {shown}"

    def execute(self, kernel: Any) -> None:
        for name, value in self.values:
            kernel.sysctl.write(name, value, self.netns)

    def expect(self, world: World) -> None:
        for name, value in self.values:
            world.expect_sysctl(name, value, self.netns)


def parse_sysctls(option: str, given: Mapping[str, Any] | None) -> dict[str, str]:
    """A dictionary of parameters as every option takes it. Raises OptionError.

    The names that are returned have dots, however they were spelled: of two spellings of one name, nobody can say which
    value is meant. Booleans are 1 and 0; white space is normalised as the kernel prints it.
    """
    found: dict[str, str] = {}
    for spelled, value in (given or {}).items():
        name = dotted(spelled)
        try:
            path_of(name)
        except ValueError:
            raise OptionError(option, spelled, "is not the name of a kernel parameter") from None
        if re.search(r"\s", name):
            raise OptionError(option, spelled, "is not the name of a kernel parameter")
        if name in found:
            raise OptionError(option, spelled, "is there twice")
        found[name] = sysctl_text(f"{option}.{spelled}", value)
    return found


def parse_netns_sysctls(option: str, given: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """Those of a network namespace, in the order given. Raises OptionError."""
    found = parse_sysctls(option, given)
    for name, value in found.items():
        if not name.startswith("net."):
            raise OptionError(f"{option}.{name}", value, "only parameters that begin with net. belong to a netns")
    return tuple(found.items())


def check_places(declared: Iterable[tuple[str, NetnsRef, Iterable[tuple[str, str]]]]) -> None:
    """Raises OptionError where options (their name, the namespace, the parameters) want two values of one parameter."""
    seen: dict[tuple[NetnsRef, str], tuple[str, str]] = {}
    for option, ref, sysctls in declared:
        for name, value in sysctls:
            first, other = seen.setdefault((ref, name), (option, value))
            if other != value:
                raise OptionError(f"{option}.{name}", value, f"{first}.{name} is {other} in the same namespace")


def sysctl_text(option: str, value: Any) -> str:
    """A value as the kernel prints it: booleans are 1 and 0, and words have one space between them, where sysctl(8)
    prints a tab. Raises OptionError."""
    if isinstance(value, (dict, list)) or value is None:
        raise OptionError(option, value, "give a number, a boolean or a string")
    if any(ord(character) < ord(" ") and character != "\t" for character in str(value)):
        raise OptionError(option, value, "is one line; it cannot hold a line break or a NUL byte")
    return str(int(value)) if isinstance(value, bool) else " ".join(str(value).split())


def interface_of(name: str) -> str | None:
    """The interface that a parameter is about (net.ipv4.conf.eth0.forwarding), None for one of the namespace."""
    match = re.fullmatch(r"net\.(?:ipv4|ipv6|mpls)\.(?:conf|neigh)\.([^.]+)\..+", dotted(name))
    interface = match.group(1).replace("/", ".") if match else None
    return None if interface in ("all", "default") else interface


def sample_of(name: str) -> str | None:
    """A parameter that exists where that one can, with a value of its kind: itself, or for one of an interface, which
    may have yet to be made, the one of ``default`` or loopback. None where there is no such."""
    interface = interface_of(name)
    if interface is None:
        return name
    plain = dotted(name)
    if plain.startswith("net.mpls."):
        return None
    # neigh has a default in the initial namespace only, and loopback everywhere.
    like = "lo" if plain.startswith(("net.ipv4.neigh.", "net.ipv6.neigh.")) else "default"
    return plain.replace(f".{interface.replace('.', '/')}.", f".{like}.", 1)


def turns_ipv6_off(sysctls: Mapping[str, str], interface: str) -> str:
    """The parameter among these that keeps an interface from having an IPv6 address; empty for none."""
    own = f"net.ipv6.conf.{interface.replace('.', '/')}.disable_ipv6"
    names = (own,) if own in sysctls else ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6")
    return next((name for name in names if name in sysctls and not same_value(name, sysctls[name], "0")), "")


def check_sysctls(
    option: str, wanted: tuple[tuple[str, str], ...], samples: Mapping[str, str | None], refused: Mapping[str, str]
) -> None:
    """Raises OptionError for what the kernel has no parameter for or does not take, and for words where it has numbers.

    ``samples`` are live values by sample_of(name), ``refused`` what the kernel said to values that it was asked about.
    """
    for name, value in wanted:
        sample = sample_of(name)
        shown = samples.get(sample) if sample is not None else ""
        if shown is None:
            raise OptionError(f"{option}.{name}", value, "this kernel has no such sysctl: correct or remove it")
        if is_mask(name) or not SHOWN_NUMBERS.fullmatch(shown):
            continue
        if not GIVEN_NUMBERS.fullmatch(value) or len(value.split()) > len(shown.split()):
            how_many = len(shown.split())
            words = "a number" if how_many == 1 else f"{how_many} numbers"
            raise OptionError(f"{option}.{name}", value, f"give {words}: on this host it is {shown}")
    for name, value in wanted:
        if name in refused:
            raise OptionError(f"{option}.{name}", value, refused[name])


def dotted(name: str) -> str:
    """The name in the form of sysctl(8) in which dots separate, and a slash is a dot of an interface's name."""
    dot, slash = name.find("."), name.find("/")
    return name.translate(str.maketrans("./", "/.")) if slash != -1 and (dot == -1 or slash < dot) else name


def plan_sysctls(
    netns: NetnsRef, wanted: tuple[tuple[str, str], ...], observed: Mapping[str, str | None]
) -> list[Operation]:
    """What must be written, in an order in which all of it is kept, with what is so already and will not stay so."""
    live = dict(observed)
    operations: list[Operation] = []
    for name, value in in_order(dict(wanted)).items():
        if not same_value(name, value, live.get(name)):
            operations.append(SetSysctl(netns, name, value))
            _write(name, value, live)
    return operations


def as_left_by(
    operations: Iterable[Operation], netns: NetnsRef, live: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Live values as they are once these operations have been executed, "" where only the kernel can tell."""
    left = dict(live)
    for operation in operations:
        if isinstance(operation, SetSysctl) and operation.netns == netns:
            _write(operation.name, operation.value, left)
        elif isinstance(operation, SetSysctls) and operation.netns == netns:
            for name, value in operation.values:
                _write(name, value, left)
    return left


def _write(name: str, value: str, live: dict[str, str | None]) -> None:
    live.update({other: becomes for other, becomes in carried(name, value, live).items() if live[other] is not None})
    live.update({same: value for same in live if path_of(same) == path_of(name)})


def going_back(
    values: Mapping[str, str | None], live: Mapping[str, str | None], news: Collection[str]
) -> dict[str, str]:
    """What to write so that each parameter has that value, in the order of writing; None where it is not known.

    ``news`` are those whose value is that of a new interface now: it is another one once what all interfaces get from
    another parameter has gone back.
    """
    found: dict[str, str] = {}
    left = {name: live[name] for name in values}
    for name, value in in_order(values).items():
        if name in news and interface_of(name):
            value = next((back for other, back in found.items() if name in carried(other, back, (name,))), value)
        # A stable_secret that has been set cannot be unset again (net/ipv6/addrconf.c).
        if value is not None and left[name] not in (None, value) and (value or not name.endswith("stable_secret")):
            found[name] = value
            _write(name, value, left)
    return found


def values_after(wanted: tuple[tuple[str, str], ...], observed: Mapping[str, str | None]) -> dict[str, str | None]:
    """The parameters as results show them afterwards: in the kernel's words where they are so already."""
    return {n: observed[n] if same_value(n, v, observed.get(n)) else v for n, v in wanted}
