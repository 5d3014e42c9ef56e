# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of iptables-legacy(8), which the kernel keeps apart from nftables (ip_tables, ip6_tables). Read only.

They are returned as nft(8) would list them, so that whoever judges them needs to know one form.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import files, spawn
from .nft import Chain, Rule, Table

#: family -> (where the kernel names the tables that are in use, what lists them)
_FAMILIES = {
    "ip": ("/proc/net/ip_tables_names", "iptables-legacy"),
    "ip6": ("/proc/net/ip6_tables_names", "ip6tables-legacy"),
}
#: What filters what is forwarded and translates what leaves.
_TABLES = ("filter", "nat")
_INTERFACES = {"-i": "iifname", "-o": "oifname"}


def read_tables() -> tuple[Table, ...]:
    """filter and nat of both families where they are in use; ``unread`` where they cannot be listed.

    Where the kernel names none nothing is executed, as the tool would load the tables in order to list them.
    Raises KernelError where the kernel's names cannot be read.
    """
    found = []
    for family, (path, tool) in _FAMILIES.items():
        used = (files.read_text(path) or "").split()
        found += [_read(Table(family, name, tool=tool)) for name in _TABLES if name in used]
    return tuple(found)


def _read(table: Table) -> Table:
    # The kernel hands out a table as a whole: no need for the lock of those who change it, which would leave a file.
    environment = {**os.environ, "XTABLES_LOCKFILE": "/dev/null"}
    # An older iptables takes it all the same: then it waits for at most 5 seconds.
    command = [table.tool, "-w", "5", "-t", table.name, "-S"]
    try:
        done = spawn.run(command, text=True, capture_output=True, env=environment)
    except OSError as error:
        return replace(table, unread=f"{table.tool}: {error.strerror}")
    if done.returncode != 0:
        return replace(table, unread=" ".join(done.stderr.split()) or f"{table.tool}: status {done.returncode}")
    try:
        return parse(table, done.stdout)
    except ValueError as error:  # quotes that do not close, as where a comment has several lines
        return replace(table, unread=f"{' '.join(command)}: {error}")


def parse(table: Table, listing: str) -> Table:
    """The table with the chains and rules of a listing by ``iptables-legacy -S``. Raises ValueError."""
    chains: dict[str, Chain] = {}
    rules: list[Rule] = []
    for line in listing.splitlines():
        command, name, *rest = shlex.split(line) if '"' in line else line.split()
        if command == "-P":
            chains[name] = Chain(table.family, table.name, name, table.name, name.lower(), None, rest[0].lower())
        elif command == "-N":
            chains[name] = Chain(table.family, table.name, name)
        elif command == "-A":
            rules.append(Rule(name, "", tuple(_expressions(rest, chains))))
    return replace(table, chains=tuple(chains.values()), rules=tuple(rules))


def _expressions(words: Sequence[str], chains: Mapping[str, Chain]) -> Iterator[Mapping[str, Any]]:
    """Those of one rule: its matches come first, what follows the target says how that does its work."""
    rest = iter(words)
    negated = False
    for word in rest:
        if word in ("-j", "-g"):
            target = next(rest, "")
            kind = {"-j": "jump", "-g": "goto"}[word] if target in chains else target.lower()
            yield {kind: None}
            return
        if word == "!":
            negated = True
            continue
        if word in _INTERFACES:
            left = {"meta": {"key": _INTERFACES[word]}}
            yield {"match": {"op": "!=" if negated else "==", "left": left, "right": next(rest, "")}}
        elif word in ("-m", "--comment"):
            next(rest, "")  # neither a module's name nor a comment restricts anything
        elif word.startswith("-"):
            yield {"match": {"op": "", "left": word, "right": None}}
        negated = False
