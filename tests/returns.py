# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several modules return is described in one of them; tools/returns copies it to the others.

Ansible has no fragments for RETURN. Only text is handled, so what a person wrote stays as it was written.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from . import collection

#: What every module that changes hosts returns, as FROM describes it; samples are each module's own.
FROM = "ns_container"
COMMON = ("actions", "actions_undone", "changes")
#: An object as its module returns it, and its _info module in a list: what one contains the other does, too.
OBJECTS = (
    (("bridge_network", "network"), ("bridge_network_info", "networks")),
    (("netns_veth", "veth"), ("netns_veth_info", "veths")),
    (("netns_veth", "namespaces"), ("netns_veth_info", "namespaces")),
    (("ns_container", "container"), ("ns_container_info", "containers")),
    (("oci_image", "image"), ("oci_image_info", "images")),
)
_RETURN = re.compile(r'(?<=^RETURN = r""")\n.*?(?=^""")', re.MULTILINE | re.DOTALL)


class Block:
    """Entries of a YAML mapping, each with its lines below the key; lines are without the mapping's own indentation."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.entries: dict[str, list[str]] = {}
        for line in lines:
            if line and not line.startswith((" ", "#")):
                name, _colon, rest = line.partition(":")
                self.entries[name] = [rest]
            elif self.entries:
                self.entries[list(self.entries)[-1]].append(line)

    def below(self, name: str) -> Block:
        """The entry as a mapping; of one that is not there, an empty one."""
        return Block(line[2:] for line in self.entries.get(name, [""])[1:])

    def put(self, name: str, block: Block) -> None:
        """Replace an entry by a mapping."""
        self.entries[name] = ["", *(f"  {line}" if line else "" for line in block.lines())]

    def lines(self) -> list[str]:
        return [line for name, (rest, *more) in self.entries.items() for line in (f"{name}:{rest}", *more)]

    def take(self, source: Block, without: Iterable[str] = ()) -> None:
        """The entries of the other one, in its order; what only this one has stays behind what it stands behind,
        or comes last."""
        known = {name: self._with_own(source, name) for name in source.entries if name not in without}
        merged = dict(known)
        names = list(self.entries)
        for place, name in enumerate(names):
            if name not in known:
                before = list(merged)
                at = before.index(names[place - 1]) + 1 if place else len(before)
                before.insert(at, name)
                merged[name] = self.entries[name]
                merged = {each: merged[each] for each in before}
        self.entries = merged

    def _with_own(self, source: Block, name: str) -> list[str]:
        """The other one's entry, with what is contained in this one's alone."""
        entry, own = source.below(name), self.below(name).below("contains")
        if not own.entries or "contains" not in entry.entries:
            return source.entries[name]
        own.take(entry.below("contains"))
        entry.put("contains", own)
        whole = Block(())
        whole.put(name, entry)
        return whole.entries[name]


def returned(module: str) -> Block:
    found = _RETURN.search(collection.module_source(module))
    assert found is not None, module
    return Block(found[0].strip("\n").split("\n"))


def texts() -> dict[Path, str]:
    """Every module that has to do with it, as it should be."""
    common = returned(FROM)
    blocks = {module: returned(module) for module in collection.changing_modules()}
    blocks.update({module: returned(module) for _source, (module, _key) in OBJECTS})
    for module in collection.changing_modules():
        for name in COMMON:
            if name in blocks[module].entries and module != FROM:
                entry = blocks[module].below(name)
                entry.take(common.below(name), without=["sample"])
                blocks[module].put(name, entry)
    for (source, key), (module, listed) in OBJECTS:
        entry = blocks[module].below(listed)
        contains = entry.below("contains")
        contains.take(returned(source).below(key).below("contains"))
        entry.put("contains", contains)
        blocks[module].put(listed, entry)
    found = {}
    for module, block in blocks.items():
        text = "\n" + "\n".join(block.lines()) + "\n"
        path = collection.CHECKOUT / "plugins/modules" / f"{module}.py"
        found[path] = _RETURN.sub(lambda _match, text=text: text, path.read_text())  # type: ignore[misc]
    return found


def main(check: bool) -> int:
    """Write them, or only say which differ. Returns the exit status."""
    changed = [path for path, text in texts().items() if path.read_text() != text]
    for path in changed:
        sys.stdout.write(f"{path.relative_to(collection.CHECKOUT)}\n")
        if not check:
            path.write_text(texts()[path])
    return 1 if check and changed else 0
