# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Impairment of what an interface sends: delay, loss and rate as netem and tbf keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._core.errors import OptionError
from .._core.operation import Operation
from .._core.quantities import parse_percent, parse_rate, parse_time
from .._kernel.namespaces import NetnsRef
from .._kernel.netlink_qdisc import TICK_NS, Qdisc

#: The disciplines that this option sets; any other at the root is the kernel's or somebody else's.
KINDS = ("netem", "tbf")
_PERCENTS = ("loss", "duplicate", "corrupt", "reorder", "delay_correlation", "loss_correlation", "reorder_correlation")
_LIMIT = 1000


@dataclass(frozen=True)
class SetQdisc(Operation):
    """Put that discipline at the root of an interface, in place where one of its kind is there."""

    link: str
    netns: NetnsRef
    qdisc: Qdisc

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: set {self.qdisc.kind} {shown(self.qdisc)}"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_qdisc.replace_root_qdisc(self.link, self.qdisc, self.netns)


@dataclass(frozen=True)
class RemoveQdisc(Operation):
    """Back to the kernel's own discipline."""

    link: str
    netns: NetnsRef

    def describe(self) -> str:
        return f"{self.link} in {self.netns}: remove the impairment"

    def execute(self, kernel: Any) -> None:
        kernel.netlink_qdisc.delete_root_qdisc(self.link, self.netns)


def parse_impairment(option: str, given: Mapping[str, Any] | None) -> Qdisc | None:
    """The option as the discipline that does it: tbf for a rate alone, netem for all else; None for no impairment.

    Raises OptionError.
    """
    values = {key: value for key, value in (given or {}).items() if value is not None}
    if not values:
        return None
    if set(values) == {"limit"}:
        raise OptionError(f"{option}.limit", values["limit"], "needs what it limits beside it, e.g. delay or loss")
    if set(values) <= {"rate", "burst"}:
        return _tbf(option, values)
    return _netem(option, values)


def _tbf(option: str, values: Mapping[str, Any]) -> Qdisc | None:
    if "rate" not in values:
        raise OptionError(f"{option}.burst", values["burst"], "needs a rate beside it")
    rate = parse_rate(f"{option}.rate", values["rate"])
    # One hundredth of a second, and never less than a segment that the kernel has merged (64 KiB).
    burst = int(values.get("burst") or max(rate // 100, 65536))
    if not 2000 <= burst <= 2**31:
        raise OptionError(
            f"{option}.burst", burst, "is a number of bytes from 2000 on: less than a packet never leaves"
        )
    if rate == 0:
        return None
    ticks = burst * 1_000_000_000 // rate // TICK_NS
    if ticks >= 2**32:
        raise OptionError(
            f"{option}.burst", burst, f"takes too long at {rate} bytes a second: at most 274 s of sending"
        )
    # What may wait: 50 ms of sending beside the burst, the latency that tc-tbf(8) users usually ask for.
    return Qdisc("tbf", tuple(sorted({"rate": rate, "buffer": ticks, "limit": rate // 20 + burst}.items())))


def _netem(option: str, values: Mapping[str, Any]) -> Qdisc | None:
    if "burst" in values:
        raise OptionError(f"{option}.burst", values["burst"], "goes with a rate alone (tbf); netem has no burst")
    for dependent, on in (("jitter", "delay"), ("reorder", "delay"), ("delay_correlation", "jitter")):
        if dependent in values and on not in values:
            raise OptionError(f"{option}.{dependent}", values[dependent], f"needs {on} beside it")
    limit = int(values.get("limit", _LIMIT))
    if not 1 <= limit < 2**32:
        raise OptionError(f"{option}.limit", limit, f"is a number of packets from 1 to {2**32 - 1}")
    raw: dict[str, int] = {"limit": limit}
    for name in ("delay", "jitter"):
        if name in values:
            raw[name] = parse_time(f"{option}.{name}", values[name]) // TICK_NS
    for name in _PERCENTS:
        if name in values:
            raw[name] = parse_percent(f"{option}.{name}", values[name])
    if "rate" in values:
        raw["rate"] = parse_rate(f"{option}.rate", values["rate"])
    if raw.get("reorder"):
        raw["gap"] = 1
    effective = tuple(sorted((name, value) for name, value in raw.items() if value))
    return Qdisc("netem", effective) if set(dict(effective)) - {"limit"} else None


def same_qdisc(one: Qdisc | None, other: Qdisc | None) -> bool:
    """Whether both impair in the same way; what is neither netem nor tbf is no impairment."""
    first, second = ((q.kind, q.options) if q is not None and q.kind in KINDS else None for q in (one, other))
    return first == second


def plan_qdisc(link: str, netns: NetnsRef, there: Qdisc | None, wanted: Qdisc | None) -> list[Operation]:
    """The step, if any, to the wanted discipline (None: no impairment)."""
    if same_qdisc(there, wanted):
        return []
    return [RemoveQdisc(link, netns)] if wanted is None else [SetQdisc(link, netns, wanted)]


def described(qdisc: Qdisc | None) -> dict[str, str]:
    """An impairment in the units of the option; empty for none."""
    if qdisc is None or qdisc.kind not in KINDS:
        return {}
    values = dict(qdisc.options)
    words = {"kind": qdisc.kind}
    words.update({n: f"{values[n] * TICK_NS / 1e6:.6g}ms" for n in ("delay", "jitter") if n in values})
    words.update({n: f"{values[n] * 100 / (2**32 - 1):.6g}%" for n in _PERCENTS if n in values})
    if "rate" in values:
        words["rate"] = f"{values['rate'] * 8}bit"
    if "buffer" in values:
        words["burst"] = str(round(values["buffer"] * TICK_NS * values["rate"] / 1e9))
    return words


def shown(qdisc: Qdisc) -> str:
    """An impairment in one line."""
    return " ".join(f"{name} {value}" for name, value in described(qdisc).items() if name != "kind")
