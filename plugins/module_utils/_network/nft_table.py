# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one nftables table of ours: its fixed chains and sets, and who owns which elements.

Rules never change: everything that belongs to a network or a container is an element of a set or map, and the
element's comment names the owner (``network/lab0``, ``container/web``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._core.errors import Refused
from .._core.operation import Caveat, Operation
from .._kernel.nft import Chain, Element, Rule, SetHeader, Table

if TYPE_CHECKING:
    from .._core.observe_world import World

FAMILY = "inet"
NAME = "barekernel"
#: Whoever changes elements of the table holds this lock from observing to applying.
LOCK = "nftables"

BRIDGES, ISOLATED, WITHIN = "bridges", "isolated", "within"
NETS = {4: "nets4", 6: "nets6"}
NAT = {4: "nat4", 6: "nat6"}
#: Published on any address of the host: protocol . port -> address . port.
ANY = {4: "published4", 6: "published6"}
#: Published on one address of the host: address . protocol . port -> address . port.
ONE = {4: "published_on4", 6: "published_on6"}

_VERSIONS = {name: version for sets in (ANY, ONE) for version, name in sets.items()}
_IP = {4: "ipv4_addr", 6: "ipv6_addr"}
SETS = (
    SetHeader(BRIDGES, ("ifname",)),
    SetHeader(ISOLATED, ("ifname",)),
    SetHeader(WITHIN, ("ifname", "ifname")),
    *(SetHeader(NETS[v], (_IP[v],), flags=("interval",)) for v in (4, 6)),
    *(SetHeader(NAT[v], (_IP[v],), flags=("interval",)) for v in (4, 6)),
    *(SetHeader(ANY[v], ("inet_proto", "inet_service"), (_IP[v], "inet_service")) for v in (4, 6)),
    *(SetHeader(ONE[v], (_IP[v], "inet_proto", "inet_service"), (_IP[v], "inet_service")) for v in (4, 6)),
)


@dataclass(frozen=True)
class ChainTemplate:
    """A chain of ours with its rules; a chain without hook is jumped to."""

    name: str
    rules: tuple[str, ...]
    type: str | None = None
    hook: str | None = None
    priority: int | None = None


# 6 and 17 are tcp and udp: a host without /etc/protocols has no names for them.
_TO_US = "meta l4proto { 6, 17 } fib daddr type local jump published_ports"
CHAINS = (
    # route_localnet on a bridge lets 127.0.0.1 reach published ports; nobody on a bridge may speak to or as it.
    ChainTemplate(
        "no_loopback_from_bridges",
        ("iifname @bridges ip daddr 127.0.0.0/8 drop", "iifname @bridges ip saddr 127.0.0.0/8 drop"),
        "filter",
        "prerouting",
        -300,
    ),
    ChainTemplate(
        "published_ports",
        (
            "dnat ip to ip daddr . meta l4proto . th dport map @published_on4",
            "dnat ip to meta l4proto . th dport map @published4",
            # The answer to a translated ::1 comes in by the bridge, from where the kernel has no route to ::1.
            # Untranslated it is refused at once, so that clients of "localhost" go on to 127.0.0.1.
            "ip6 daddr ::1 return",
            "dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_on6",
            "dnat ip6 to meta l4proto . th dport map @published6",
        ),
    ),
    # Translation comes before routing, which would drop what a neighbour sends to 127.0.0.1 as a martian. What the
    # host itself sends there has been translated on its way out.
    ChainTemplate("from_outside", ("ip daddr 127.0.0.0/8 return", _TO_US), "nat", "prerouting", -100),
    ChainTemplate("from_host", (_TO_US,), "nat", "output", -100),
    ChainTemplate(
        "source_nat",
        (
            "ip saddr @nat4 oifname != @bridges masquerade",
            "ip6 saddr @nat6 oifname != @bridges masquerade",
            # A member that calls a published port of its own network must see the answer come from the host.
            "ip saddr @nets4 ip daddr @nets4 ct status dnat masquerade",
            "ip6 saddr @nets6 ip6 daddr @nets6 ct status dnat masquerade",
            # The host itself calling 127.0.0.1.
            "oifname @bridges ip saddr 127.0.0.0/8 ct status dnat masquerade",
        ),
        "nat",
        "postrouting",
        100,
    ),
    ChainTemplate(
        "isolation",
        (
            "ct state established,related accept",
            "ct status dnat accept",
            # Bridged traffic comes through here too where bridge-nf-call-iptables is 1.
            "iifname . oifname @within accept",
            "oifname @isolated drop",
            "iifname @isolated oifname @bridges drop",
        ),
        "filter",
        "forward",
        0,
    ),
)


@dataclass(frozen=True)
class ChangeTable(Operation):
    """One transaction on our table. ``rebuild``: replace it by the template and ``kept`` (everyone else's
    elements); ``restored``: those that others declared and that are gone; ``delete``: remove it, as nobody is left.
    ``flows``: the UDP ports whose flows may have to begin anew, as they are afterwards, without a value where they
    are published no longer."""

    owner: str
    add: tuple[Element, ...] = ()
    remove: tuple[Element, ...] = ()
    rebuild: str = ""
    kept: tuple[Element, ...] = ()
    restored: tuple[Element, ...] = ()
    delete: bool = False
    flows: tuple[Element, ...] = ()

    def describe(self) -> str:
        what = f"{self.rebuild} the nftables table {FAMILY} {NAME}, " if self.rebuild else "nftables: "
        anew = ", and let UDP flows that led elsewhere begin anew" if self.flows else ""
        if self.delete:
            return f"delete the nftables table {FAMILY} {NAME} (the last owner was {self.owner}){anew}"
        steps = [f"{verb} {_listed(these)}" for verb, these in (("remove", self.remove), ("add", self.add)) if these]
        own = [", ".join(steps) + f" for {self.owner}"] if steps or not self.restored else []
        owners = sorted({e.comment for e in self.restored})
        lost = [f"restore what is missing of {', '.join(owners)}"] if owners else []
        return what + ", ".join([*own, *lost]) + anew

    def execute(self, kernel: Any) -> Caveat | None:
        kernel.nft.run(script(self))
        # Only now: before, the next packet would be translated as it was. A run that is killed in between leaves the
        # flows to time out once they are quiet.
        return _forget_flows(self.flows, kernel)

    def expect(self, world: World) -> None:
        from .._kernel import nft  # here: whoever only looks at elements runs no program

        there = world.read(nft.read_table, FAMILY, NAME)
        elements = elements_after([self], there)
        # Where the table is not rebuilt, it is there.
        after = made(elements) if self.rebuild or there is None else replace(there, elements=elements)
        world.expect(None if self.delete else after, nft.read_table, FAMILY, NAME)


def plan_elements(
    owner: str, wanted: Iterable[Element], table: Table | None, declared: Iterable[Element] = ()
) -> tuple[ChangeTable, ...]:
    """What makes the table hold exactly these elements for that owner, everyone else's untouched: nothing or one step.

    The comments of ``wanted`` need not be filled in. ``declared`` are elements of others, of which those that are not
    there are restored: whatever flushed them (a firewall that was reloaded) took the guard of other networks along.
    Raises Refused where an element is someone else's.
    """
    mine = {_identity(e): Element(e.set_name, e.key, e.value, owner) for e in wanted}
    live = {_identity(e): e for e in (table.elements if table is not None else ())}
    for identity, element in mine.items():
        other = live.get(identity)
        if other is not None and other.comment not in ("", owner):
            raise Refused(f"{_shown(element)} of {owner} belongs to {other.comment} already")
    others = [e for i, e in live.items() if e.comment not in ("", owner) and i not in mine]
    lost = {_identity(e): e for e in declared if e.comment != owner and _identity(e) not in mine}
    restored = _sorted(e for i, e in lost.items() if i not in live or not live[i].comment)
    add = _sorted(mine.values())
    if not mine and not others and not restored:
        return (ChangeTable(owner, delete=True, flows=_flows(live.values(), ())),) if table is not None else ()
    if table is None:
        return (ChangeTable(owner, add, rebuild="create", restored=restored, flows=_flows((), (*restored, *add))),)
    if not as_template(table):
        kept = _sorted(e for e in others if e.set_name in {s.name for s in SETS})
        # Who knows what became of flows that began while its rules were not ours.
        flows = _flows(live.values(), (*kept, *restored, *add))
        return (ChangeTable(owner, add, rebuild="rebuild", kept=kept, restored=restored, flows=flows),)
    add = _sorted(e for i, e in mine.items() if live.get(i) != e)
    # An element without an owner was put there by hand; one of ours with another value is replaced.
    remove = _sorted(e for i, e in live.items() if e.comment in ("", owner) and mine.get(i) != e)
    if not add and not remove and not restored:
        return ()
    return (ChangeTable(owner, add, remove, restored=restored, flows=_flows(remove, (*restored, *add))),)


def elements_after(changes: Iterable[ChangeTable], table: Table | None) -> tuple[Element, ...]:
    """Everybody's elements as they are when those changes have been made."""
    found = {_identity(e): e for e in (table.elements if table is not None else ())}
    for change in changes:
        if change.rebuild or change.delete:
            found = {}
        for element in change.remove:
            found.pop(_identity(element), None)
        found.update({_identity(e): e for e in (*change.kept, *change.restored, *change.add)})
    return tuple(found.values())


def _flows(before: Iterable[Element], after: Iterable[Element]) -> tuple[Element, ...]:
    """ChangeTable.flows of elements that go and of those that come or stay."""
    found = {_identity(e): Element(e.set_name, e.key) for e in before}
    found.update({_identity(e): Element(e.set_name, e.key, e.value) for e in after})
    return _sorted(e for e in found.values() if e.set_name in _VERSIONS and e.key[-2] == "udp")


def _forget_flows(elements: tuple[Element, ...], kernel: Any) -> Caveat | None:
    """UDP has no end, so a client that keeps its port would for ever be led as before. TCP connections stay."""
    targets: dict[int, dict[Any, Any]] = {}
    for e in elements:
        address = e.key[0] if len(e.key) == 3 else None
        to = (e.value[0], int(e.value[1])) if e.value else None
        targets.setdefault(_VERSIONS[e.set_name], {})[address, int(e.key[-1])] = to
    try:
        for version, these in sorted(targets.items()):
            kernel.netlink_conntrack.forget_flows(version, "udp", these)
    except OSError as error:
        return Caveat(
            f"UDP clients that sent before the change may be led as before until they pause for some minutes: {error}. "
            "Has the kernel nf_conntrack_netlink? Else use conntrack -D -p udp --orig-port-dst PORT"
        )
    return None


def made(elements: Iterable[Element]) -> Table:
    """The table as it is when it has just been made: the template and those elements."""
    return Table(
        FAMILY,
        NAME,
        tuple(Chain(FAMILY, NAME, c.name, c.type, c.hook, c.priority, "accept" if c.hook else None) for c in CHAINS),
        SETS,
        tuple(Rule(c.name, _rule_mark(rule)) for c in CHAINS for rule in c.rules),
        tuple(elements),
    )


def as_template(table: Table) -> bool:
    """Whether chains, rules and sets are those of this version, untouched."""
    chains = {(c.name, c.type, c.hook, c.priority, c.policy) for c in table.chains}
    rules = [(r.chain, r.comment) for r in table.rules]
    expected = [(c.name, _rule_mark(rule)) for c in CHAINS for rule in c.rules]
    return (
        chains == {(c.name, c.type, c.hook, c.priority, "accept" if c.hook else None) for c in CHAINS}
        and sorted(rules, key=lambda r: r[0]) == sorted(expected, key=lambda r: r[0])
        and set(table.sets) == set(SETS)
    )


def script(change: ChangeTable) -> str:
    """The change in nft's language."""
    name = f"{FAMILY} {NAME}"
    if change.delete:
        return f"table {name}\ndelete table {name}\n"
    lines = []
    if change.rebuild:
        lines += [f"table {name}", f"delete table {name}", *_template()]
    for verb, elements in (("delete", change.remove), ("add", (*change.kept, *change.restored, *change.add))):
        by_set: dict[str, list[Element]] = {}
        for element in elements:
            by_set.setdefault(element.set_name, []).append(element)
        for set_name, these in by_set.items():
            rendered = ", ".join(_rendered(e, bare=verb == "delete") for e in these)
            lines.append(f"{verb} element {name} {set_name} {{ {rendered} }}")
    return "\n".join(lines) + "\n"


def _template() -> list[str]:
    lines = [f"table {FAMILY} {NAME} {{"]
    for s in SETS:
        kind = "map" if s.data else "set"
        data = " : " + " . ".join(s.data) if s.data else ""
        flags = f" flags {', '.join(s.flags)};" if s.flags else ""
        lines.append(f" {kind} {s.name} {{ type {' . '.join(s.key)}{data};{flags} }}")
    for c in CHAINS:
        hook = [f"  type {c.type} hook {c.hook} priority {c.priority}; policy accept;"] if c.hook else []
        lines += [f" chain {c.name} {{", *hook, *(f'  {r} comment "{_rule_mark(r)}"' for r in c.rules), " }"]
    return [*lines, "}"]


def _rule_mark(rule: str) -> str:
    """What a rule's comment says: a digest of the rule as written, so that a new version is told from an old one."""
    return "barekernel:" + hashlib.sha256(rule.encode()).hexdigest()[:12]


def _rendered(element: Element, bare: bool = False) -> str:
    types = next(s for s in SETS if s.name == element.set_name).key
    key = " . ".join(f'"{part}"' if kind == "ifname" else _literal(part) for kind, part in zip(types, element.key))
    if bare:
        return key
    value = " : " + " . ".join(element.value) if element.value else ""
    return f'{key} comment "{element.comment}"{value}'


def _literal(part: str) -> str:
    return {"tcp": "6", "udp": "17"}.get(part, part)


def _identity(element: Element) -> tuple[str, tuple[str, ...]]:
    return element.set_name, element.key


def _sorted(elements: Iterable[Element]) -> tuple[Element, ...]:
    return tuple(sorted(elements, key=lambda e: (e.set_name, e.key)))


def _listed(elements: tuple[Element, ...], most: int = 8) -> str:
    shown = [_shown(e) for e in elements[:most]]
    more = len(elements) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _shown(element: Element) -> str:
    value = " -> " + " ".join(element.value) if element.value else ""
    return f"{element.set_name} {' '.join(element.key)}{value}"
