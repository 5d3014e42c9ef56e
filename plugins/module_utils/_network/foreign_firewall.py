# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other people's firewall rules will do to the traffic we forward. Read only: none of it is ever changed.

An accept in one base chain does not overrule a drop in another of the same hook (nft(8), "verdict statements"), so
nothing in our own table can let traffic pass that a foreign chain drops: the person must allow it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._kernel.nft import NFT, Chain, Rule, Table
from .nft_table import FAMILY, NAME

_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}
_END = ("drop", "reject")
_PASS = ("accept", "jump", "goto")


def foreign(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Those of others that filter what is forwarded or translate what leaves."""
    return tuple(
        table
        for table in tables
        if table.family in ("ip", "ip6", "inet")
        and (table.family, table.name) != (FAMILY, NAME)
        and any(chain.hook == "forward" or _source_nat(chain) for chain in table.chains)
    )


def forwarders(version: int, tables: Iterable[Table]) -> tuple[str, ...]:
    """The foreign tables that translate source addresses: someone else forwards, and needs it to stay allowed.

    One that cannot be read may do so.
    """
    return tuple(
        str(table)
        for table in tables
        if table.family in _FAMILIES[version] and (table.name == "nat" if table.unread else _forwards(table))
    )


def warnings_for(bridge: str, versions: Iterable[int], tables: Iterable[Table]) -> tuple[str, ...]:
    """One sentence for each foreign forward chain that drops what it does not know and does not know our bridge, and
    for each table whose chains cannot be read."""
    families = {family for version in versions for family in _FAMILIES[version]}
    found = []
    for table in tables:
        if table.family not in families:
            continue
        if table.unread and table.name == "filter":
            found.append(_unread(bridge, table))
        for chain in table.chains:
            if chain.hook == "forward" and _drops(chain, table) and not _lets_pass(bridge, table):
                found.append(_sentence(bridge, table, chain))
    return tuple(found)


def _forwards(table: Table) -> bool:
    return any(_source_nat(chain) for chain in table.chains) and any(_translates(rule) for rule in table.rules)


def _source_nat(chain: Chain) -> bool:
    return (chain.type, chain.hook) == ("nat", "postrouting")


def _translates(rule: Rule) -> bool:
    """Also by iptables' own targets, which nft shows as such (xt)."""
    return any(name in ("masquerade", "snat", "xt") for expression in rule.expressions for name in expression)


def _drops(chain: Chain, table: Table) -> bool:
    """By its policy, or because its last rule drops or rejects everything."""
    if chain.policy == "drop":
        return True
    rules = [rule for rule in table.rules if rule.chain == chain.name]
    return bool(rules) and _verdict(rules[-1]) in _END and not _matches(rules[-1])


def _lets_pass(bridge: str, table: Table) -> bool:
    """Whether rules of that table treat the bridge by name in both directions."""
    passing = [rule for rule in table.rules if _verdict(rule) in _PASS]
    return all(any(_names(rule, key, bridge) for rule in passing) for key in ("iifname", "oifname"))


def _names(rule: Rule, key: str, bridge: str) -> bool:
    for match in _matches(rule):
        right = match.get("right")
        named = right.get("set", []) if isinstance(right, Mapping) else [right]
        if match.get("left") == {"meta": {"key": key}} and match.get("op") == "==" and bridge in named:
            return True
    return False


def _matches(rule: Rule) -> list[Mapping[str, Any]]:
    return [e["match"] for e in rule.expressions if "match" in e]


def _verdict(rule: Rule) -> str:
    return next((name for e in rule.expressions for name in e if name in (*_END, *_PASS)), "")


def _sentence(bridge: str, table: Table, chain: Chain) -> str:
    by = "" if table.tool == NFT else f" of {table.tool}"
    return (
        f"the firewall chain {table.family} {table.name} {chain.name}{by} drops forwarded traffic that it has no rule "
        f"for, so containers on {bridge} reach nobody outside and published ports are not reached from outside; "
        + _advice(bridge, table, chain)
    )


def _advice(bridge: str, table: Table, chain: Chain) -> str:
    chains = {c.name for c in table.chains}
    if "DOCKER-USER" not in chains:
        if table.name == "firewalld":
            command = f"firewall-cmd --permanent --zone=trusted --add-interface={bridge}"
            return f"allow it with: {command} && firewall-cmd --reload"
        if "ufw-user-forward" in chains or "ufw6-user-forward" in chains:
            return f"allow it with: ufw route allow in on {bridge}; ufw route allow out on {bridge}"
        if table.tool == NFT:
            return f"accept forwarding from and to {bridge} there"
    tool = table.tool if table.tool != NFT else "ip6tables" if table.family == "ip6" else "iptables"
    insert = f"{tool} -I {'DOCKER-USER' if 'DOCKER-USER' in chains else chain.name}"
    return f"allow it with: {insert} -i {bridge} -j ACCEPT; {insert} -o {bridge} -j ACCEPT"


def _unread(bridge: str, table: Table) -> str:
    return (
        f"the firewall table {table} is in use but cannot be read ({table.unread}): where its chain FORWARD drops, "
        f"containers on {bridge} reach nobody outside and published ports are not reached from outside; accept "
        f"forwarding from and to {bridge} there"
    )
