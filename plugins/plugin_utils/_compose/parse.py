# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML as Compose reads it, with the line of every value.

PyYAML resolves plain scalars as YAML 1.1 does, where ``22:22`` is 1342 and ``no`` is false. Compose's parser follows
YAML 1.2 (10.3.2), so what a scalar is gets decided here. Merge keys (``<<``) are those of yaml.org/type/merge.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from .errors import ComposeError, Place, Problems
from .values import BOOLEAN, DEEPEST, FLOAT, INTEGER, NULL, STRING, Budget, Scalar, Sequence, Table, Value

_YAML = "tag:yaml.org,2002:"
_MERGE = _YAML + "merge"
_TAGS = {
    _YAML + "str": STRING,
    _YAML + "int": INTEGER,
    _YAML + "float": FLOAT,
    _YAML + "bool": BOOLEAN,
    _YAML + "null": NULL,
}
#: Of what a plain scalar consists that is no text. Digits may be grouped by underscores, as Compose's parser takes it.
_PLAIN = (
    (_YAML + "null", re.compile(r"|~|null|Null|NULL")),
    (_YAML + "bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    (_YAML + "int", re.compile(r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+")),
    (_YAML + "float", re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")),
    (_YAML + "float", re.compile(r"[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN")),
    (_MERGE, re.compile(r"<<")),
)


class _Loader(yaml.SafeLoader):
    """Composes nodes, constructs nothing."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node and what is in it. Raises ComposerError instead of RecursionError, so that there is a line."""
        self._depth += 1
        if self._depth > DEEPEST:
            why = f"it is nested more than {DEEPEST} levels deep"
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, why, mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """The tag of a node that has none written."""
        if kind is not yaml.ScalarNode:
            return _YAML + ("seq" if kind is yaml.SequenceNode else "map")
        if not implicit[0]:  # quoted, or a block
            return _YAML + "str"
        return next((tag for tag, pattern in _PLAIN if pattern.fullmatch(value or "")), _YAML + "str")


def parse(file: str, text: str, problems: Problems) -> Table:
    """The file's tree; ``file`` is how errors call it. Raises ComposeError for what is not YAML, or not a mapping."""
    node = _composed(file, text)
    tree = _Tree(file, problems)
    place = Place(file, node.start_mark.line + 1 if node is not None else 0, "")
    if not isinstance(node, yaml.MappingNode):
        raise ComposeError([f"{place}: is not a mapping; a Compose file has services: at its top"])
    return tree.table(node, place, ())


def _composed(file: str, text: str) -> yaml.Node | None:
    loader = None
    try:
        loader = _Loader(text)
        found: yaml.Node | None = loader.get_single_node()
        return found
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ComposeError([f"{Place(file, line, '')}: the character {error.character!r} is not allowed"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(filter(None, (error.context, error.problem)))
        raise ComposeError([f"{Place(file, mark.line + 1 if mark else 0, '')}: is not YAML: {words}"]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML: an escape like "\UFFFFFFFF"
        raise ComposeError([f"{file}: is not YAML: {error}"]) from None
    finally:
        if loader is not None:
            loader.dispose()


class _Tree:
    """Nodes to values; an alias is a node that is met again."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file, self._problems = file, problems
        self._budget = Budget(problems)

    def value(self, node: yaml.Node, place: Place, above: tuple[yaml.Node, ...]) -> Value:
        """``above`` are the nodes that lead here: one that leads to itself has no end."""
        self._budget.take(place, len(above))
        if any(node is other for other in above):
            self._problems.wrong(place, "is an alias of what it is part of")
            self._problems.raise_if_any()
        if isinstance(node, yaml.MappingNode):
            return self.table(node, place, above)
        if isinstance(node, yaml.SequenceNode):
            inner = enumerate(node.value)
            items = (self.value(n, place.item(i, n.start_mark.line + 1), (*above, node)) for i, n in inner)
            self._check_tag(node, place, (_YAML + "seq",))
            return Sequence(place, tuple(items))
        if self._check_tag(node, place, tuple(_TAGS) + (_MERGE,)):
            return Scalar(place, "" if _TAGS.get(node.tag) == NULL else node.value, _TAGS.get(node.tag, STRING))
        return Scalar(place, node.value)

    def table(self, node: yaml.MappingNode, place: Place, above: tuple[yaml.Node, ...]) -> Table:
        """A mapping with what its merge keys bring; its own entries win (yaml.org/type/merge.html)."""
        self._check_tag(node, place, (_YAML + "map",))
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        for key, inner in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                for table in self._merged(inner, place.key("<<", line), place, (*above, node)):
                    merged = {**table.entries, **merged}
                continue
            name = key.value if isinstance(key, yaml.ScalarNode) and key.tag != _YAML + "null" else None
            if name is None:
                self._problems.wrong(Place(self._file, line, place.path), "a key is text")
                continue
            if name in own:
                self._problems.wrong(place.key(name, line), f"is there twice, first in line {own[name].place.line}")
            own[name] = self.value(inner, place.key(name, line), (*above, node))
        return Table(place, {**merged, **own})

    def _merged(self, node: yaml.Node, place: Place, target: Place, above: tuple[yaml.Node, ...]) -> Iterator[Table]:
        """The mappings that a merge key names."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for each in nodes:
            if not isinstance(each, yaml.MappingNode):
                self._problems.wrong(place, "merges mappings; write an alias of one, or a list of aliases")
                continue
            found = self.value(each, target, above)
            if isinstance(found, Table):
                yield found

    def _check_tag(self, node: yaml.Node, place: Place, allowed: tuple[str, ...]) -> bool:
        if node.tag in allowed:
            return True
        tag = node.tag.replace(_YAML, "!!", 1)
        self._problems.unsupported(place, f"the tag {tag}; leave it out")
        return False
