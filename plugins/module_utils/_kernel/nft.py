# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables as nft(8) has it: a transaction is written in nft's own language, state is read as libnftables-json(5).

JSON cannot write what we need: nft 1.0.6 refuses to add a map whose data is a concatenation ("Invalid map type"),
although it lists one. Nothing but JSON is ever read.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import libnftables, spawn
from .errors import KernelError
from .libnftables import Answer

NFT = "nft"
_HINT = "Install the package nftables"
#: nft prints a protocol's name where /etc/protocols has it and the number elsewhere.
_PROTOCOLS = {"6": "tcp", "17": "udp"}


@dataclass(frozen=True)
class Element:
    """An element of a set (no value) or map: each part of a concatenation as text, its comment ("" for none)."""

    set_name: str
    key: tuple[str, ...]
    value: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True)
class SetHeader:
    """A set or map without its elements; ``data`` are the types of a map's values."""

    name: str
    key: tuple[str, ...]
    data: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chain:
    """A chain; a base chain has type, hook, priority and policy."""

    family: str
    table: str
    name: str
    type: str | None = None
    hook: str | None = None
    priority: int | None = None
    policy: str | None = None


@dataclass(frozen=True)
class Rule:
    """A rule with its comment; ``expressions`` are libnftables-json statements as nft lists them."""

    chain: str
    comment: str = ""
    expressions: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Table:
    """One table as the kernel has it, each kind in the kernel's order. ``tool`` lists it; ``unread`` is why it could
    not."""

    family: str
    name: str
    chains: tuple[Chain, ...] = ()
    sets: tuple[SetHeader, ...] = ()
    rules: tuple[Rule, ...] = ()
    elements: tuple[Element, ...] = ()
    tool: str = NFT
    unread: str = ""

    def __str__(self) -> str:
        return f"{self.family} {self.name}" + ("" if self.tool == NFT else f" of {self.tool}")


def run(script: str) -> None:
    """Apply a script as one transaction: all of it or, on error, nothing. Raises KernelError with nft's words."""
    done = _nft(script)
    if done.status != 0:
        raise KernelError(errno.EINVAL, "nft", None, detail=done.errors.strip())


def read_table(family: str, name: str) -> Table | None:
    """A table with all it holds, None where there is none. Raises KernelError."""
    done = _nft(f"list table {family} {name}", json=True)
    if done.status == 0:
        return parse_table(family, name, _objects(done.output))
    # The exit status does not say why: look whether it is because there is no such table.
    tables = (o["table"] for o in _list("tables") if "table" in o)
    if not any(t["family"] == family and t["name"] == name for t in tables):
        return None
    raise KernelError(errno.EIO, "nft", f"{family} {name}", detail=done.errors.strip())


def read_tables() -> tuple[Table, ...]:
    """Every table of the host, of whoever made it, without the elements of named sets. Raises KernelError.

    Those can be a hundred thousand (blocklists). Of all that nft 1.0.6 lists, it leaves them in the kernel only here.
    """
    held: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for listed in _list("ruleset", terse=True):
        for kind, o in listed.items():
            if kind == "table":
                held.setdefault((o["family"], o["name"]), [])
            elif "table" in o:
                held.setdefault((o["family"], o["table"]), []).append(listed)
    return tuple(parse_table(*name, objects) for name, objects in held.items())


def read_base_chains() -> tuple[Chain, ...]:
    """Every chain of the host that hangs on a hook, of whoever made it. Raises KernelError."""
    chains = (_chain(o["chain"]) for o in _list("chains") if "chain" in o)
    return tuple(chain for chain in chains if chain.hook is not None)


def parse_table(family: str, name: str, objects: list[Mapping[str, Any]]) -> Table:
    """The objects of a listing as a Table."""
    sets = [o[kind] for o in objects for kind in ("set", "map") if kind in o]
    rules = (o["rule"] for o in objects if "rule" in o)
    return Table(
        family,
        name,
        chains=tuple(_chain(o["chain"]) for o in objects if "chain" in o),
        sets=tuple(_header(s) for s in sets),
        rules=tuple(Rule(r["chain"], r.get("comment", ""), tuple(r.get("expr", ()))) for r in rules),
        elements=tuple(_element(_header(s), e) for s in sets for e in s.get("elem", ())),
    )


def _chain(o: Mapping[str, Any]) -> Chain:
    return Chain(o["family"], o["table"], o["name"], o.get("type"), o.get("hook"), o.get("prio"), o.get("policy"))


def _header(o: Mapping[str, Any]) -> SetHeader:
    return SetHeader(o["name"], _types(o["type"]), _types(o.get("map", [])), tuple(o.get("flags", ())))


def _types(value: str | list[str]) -> tuple[str, ...]:
    """A concatenated type is a list, in the data of a map a text joined by dots (nft 1.0.6) or a list (1.1)."""
    return tuple(value.split(" . ")) if isinstance(value, str) else tuple(value)


def _element(header: SetHeader, listed: Any) -> Element:
    key, value = listed if isinstance(listed, list) else (listed, None)
    comment = ""
    if isinstance(key, dict) and "elem" in key:
        comment = key["elem"].get("comment", "")
        key = key["elem"]["val"]
    data = () if value is None else _parts(header.data, value)
    return Element(header.name, _parts(header.key, key), data, comment)


def _parts(types: tuple[str, ...], value: Any) -> tuple[str, ...]:
    parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return tuple(_part(kind, part) for kind, part in zip(types, parts))


def _part(kind: str, value: Any) -> str:
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if isinstance(value, dict) and "range" in value:
        return "-".join(str(end) for end in value["range"])
    return _PROTOCOLS.get(str(value), str(value)) if kind == "inet_proto" else str(value)


def _list(what: str, terse: bool = False) -> list[Mapping[str, Any]]:
    done = _nft(f"list {what}", json=True, terse=terse)
    if done.status != 0:
        raise KernelError(errno.EIO, "nft", f"list {what}", detail=done.errors.strip())
    return _objects(done.output)


def _objects(output: str) -> list[Mapping[str, Any]]:
    objects: list[Mapping[str, Any]] = json.loads(output)["nftables"]
    return objects


def _nft(command: str, json: bool = False, terse: bool = False) -> Answer:
    try:
        return libnftables.run(command, json, terse)
    except OSError:
        # What it reads from a file has to be JSON where its answer is.
        return _program(["-j", *["-t"] * terse, *command.split()] if json else ["-f", "-"], command)


def _program(arguments: list[str], command: str) -> Answer:
    try:
        done = spawn.run([NFT, *arguments], input=command, text=True, capture_output=True)
    except OSError as error:
        raise KernelError.wrap(error, "execve", NFT, _HINT) from error
    return Answer(done.returncode, done.stdout, done.stderr)
