# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a Compose file is read: YAML with lines, variables, files of variables, project names, quantities."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose import ComposeError, quantities, translated
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose.env_file import read_variables
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose.errors import Problems
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose.parse import parse
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose.substitute import BadTemplate, expanded
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose.values import (
    Scalar,
    Sequence,
    Table,
    Value,
)

VARIABLES = {"SET": "value", "EMPTY": "", "OTHER": "$SET"}


def plain(value: Value) -> Any:
    """The tree as (kind, text) of its scalars."""
    if isinstance(value, Scalar):
        return value.kind, value.text
    if isinstance(value, Sequence):
        return [plain(item) for item in value.items]
    return {key: plain(inner) for key, inner in value.items()}


def read(text: str) -> Table:
    problems = Problems()
    tree = parse("f.yml", textwrap.dedent(text), problems)
    problems.raise_if_any()
    return tree


def refused(text: str) -> tuple[str, ...]:
    with pytest.raises(ComposeError) as caught:
        read(text)
    return caught.value.messages


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = """
    a: [no, On, 22:22, 0o17, 0755, 1.10, true, ~, "1", '', 1_000, .5, 1e3, 2001-01-01, =, !!str 5, "${X}", |-, 1.2.3]
    """
    found = plain(read(text.replace("|-, ", "")))["a"]
    kinds = {text: kind for kind, text in found}
    assert (
        kinds["no"] == kinds["On"] == kinds["22:22"] == kinds["2001-01-01"] == kinds["="] == kinds["1.2.3"] == "string"
    )
    assert kinds["0o17"] == kinds["0755"] == kinds["1_000"] == "integer"
    assert kinds["1.10"] == kinds[".5"] == kinds["1e3"] == "float"
    assert (
        kinds["true"] == "boolean" and ("null", "") in found and ("string", "5") in found and ("string", "1") in found
    )


def test_every_value_knows_its_line_and_merged_ones_where_they_are_written() -> None:
    tree = read(
        """
        x-base: &base
          restart: always
          image: old
        services:
          web:
            <<: *base
            image: new
            ports:
              - 1:1
              -
                2:2
        """
    )
    services = tree.entries["services"]
    assert isinstance(services, Table) and isinstance(services.entries["web"], Table)
    web = services.entries["web"].entries
    assert {key: (value.place.line, value.place.path) for key, value in web.items()} == {
        "restart": (3, "services.web.restart"),
        "image": (8, "services.web.image"),
        "ports": (9, "services.web.ports"),
    }
    ports = web["ports"]
    assert isinstance(ports, Sequence) and [str(port.place) for port in ports.items] == [
        "f.yml:10: services.web.ports[0]",
        "f.yml:12: services.web.ports[1]",
    ]


def test_of_merged_mappings_the_first_wins_and_its_own_keys_before_all() -> None:
    tree = read("a: &a {k: 1, l: 1}\nb: &b {k: 2, m: 2}\nc: {<<: [*a, *b], m: 3}\nd: {<<: {z: 1}}\n")
    assert plain(tree)["c"] == {"k": ("integer", "1"), "m": ("integer", "3"), "l": ("integer", "1")}
    assert plain(tree)["d"] == {"z": ("integer", "1")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\nb: 2\n", "f.yml:2: is not YAML: while parsing a flow sequence"),
        ("a: 1\n\tb: 2\n", "f.yml:2: is not YAML"),
        ("a: *b\n", "f.yml:1: is not YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2\n", "f.yml:2: is not YAML: expected a single document"),
        ("a: 1\nb: \x01\n", "f.yml:2: the character"),
        ('a: "\\UFFFFFFFF"\n', "f.yml"),
        ("- a\n", "f.yml:1: is not a mapping"),
        ("", "f.yml: is not a mapping"),
        ("a: 1\nb: 2\na: 3\n", "f.yml:3: a: is there twice, first in line 1"),
        ("a: !reset null\n", "f.yml:1: a: is not supported: the tag !reset"),
        ("a: &a\n  b: *a\n", "f.yml:2: a.b: is an alias of what it is part of"),
        ("a:\n  <<: 5\n", "f.yml:2: a.<<: merges mappings"),
        ("a:\n  ? [1]\n  : 2\n", "f.yml:2: a: a key is text"),
        ("[" * 100, "f.yml:1: is not YAML: it is nested more than 40 levels deep"),
        (
            "\n".join(f"x{n}: &a{n} {{k: *a{n - 1}}}" if n else "x0: &a0 {k: 1}" for n in range(60)),
            "f.yml:1: is nested",
        ),
    ],
    ids=range(15),
)
def test_what_is_not_yaml_or_not_compose_is_told_with_its_line(text: str, expected: str) -> None:
    [message] = refused(text)
    assert message.startswith(expected)


def test_aliases_do_not_multiply_without_end() -> None:
    """The billion laughs: ten lines that stand for 10^9 values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    [message] = refused("\n".join(lines))
    assert "has more than 50000 values" in message


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("$SET", "value"),
        ("${SET}x$SET.y", "valuexvalue.y"),
        ("$$SET $${SET} $$", "$SET ${SET} $"),
        ("${UNSET}|$UNSET", "|"),
        ("${UNSET:-d}${UNSET-d}${EMPTY:-d}|${EMPTY-d}|${SET:-d}", "ddd||value"),
        ("${SET:?no}${SET?no}${EMPTY?no}", "valuevalue"),
        ("${SET:+r}${SET+r}${EMPTY+r}|${EMPTY:+r}${UNSET+r}${UNSET:+r}", "rrr|"),
        ("${UNSET:-${EMPTY:-${SET}}!}", "value!"),
        ("${UNSET:-a b:c-d?e+f}", "a b:c-d?e+f"),
        ("${UNSET:-$$}", "$"),
        ("${OTHER}", "$SET"),
        ("${SET:-${UNSET:?never asked}}", "value"),
        ("a}b", "a}b"),
    ],
)
def test_variables(template: str, expected: str) -> None:
    assert expanded(template, VARIABLES) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("${UNSET:?say so}", "the variable UNSET is not set: say so"),
        ("${EMPTY:?}", "the variable EMPTY is empty"),
        ("${UNSET?${SET} it}", "the variable UNSET is not set: value it"),
        ("costs 5$", "a '$' is followed by no variable's name; write $$ to mean a dollar"),
        ("$1", "a '$' is followed by no variable's name"),
        ("${}", "a '$' is followed by no variable's name"),
        ("${SET", "${SET is not closed"),
        ("${SET/a/b}", "${SET is not closed"),
        ("${UNSET:-" * 30, "variables are nested more than 20 levels deep"),
    ],
)
def test_variables_that_cannot_be_meant(template: str, message: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        expanded(template, VARIABLES)
    assert str(caught.value).startswith(message)


def test_a_file_of_variables() -> None:
    text = textwrap.dedent(
        """\
        # comment

        A=plain value   # comment
        B=with#hash
        export C='single $SET \\' quoted' # comment
        D="double $SET \\"q\\" \\n\\$x" # comment
        E='over
        two lines'
        F=${A}-${SET}-${NONE:-none}
        SET
        UNSET
        G=
        H = spaced
        dotted.name-1=x
        """
    )
    problems = Problems()
    assert read_variables("v", text, {"SET": "outside"}, problems) == {
        "A": "plain value",
        "B": "with#hash",
        "C": "single $SET ' quoted",
        "D": 'double outside "q" \n$x',
        "E": "over\ntwo lines",
        "F": "plain value-outside-none",
        "SET": "outside",
        "G": "",
        "H": "spaced",
        "dotted.name-1": "x",
    }
    assert not problems.failed
    assert read_variables("v", "A='x' # $y\n", {}, problems, raw=True) == {"A": "'x' # $y"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\n=x\n", "v:2: write NAME=VALUE"),
        ("A=1\nB='open\nC=2\n", "v:2: the quote that begins the value of B is never closed"),
        ("A=${X:?gone}\n", "v:1: A: the variable X is not set: gone"),
        ("A b\n", "v:1: write NAME=VALUE"),
    ],
)
def test_a_file_of_variables_that_is_none(text: str, message: str) -> None:
    problems = Problems()
    read_variables("v", text, {}, problems)
    with pytest.raises(ComposeError) as caught:
        problems.raise_if_any()
    assert caught.value.messages[0].startswith(message)


def test_where_variables_come_from(tmp_path: Path) -> None:
    """The environment wins over .env, and one warning names what neither has."""
    (tmp_path / ".env").write_text("TAG=1\nNAME=from-file\nCOMPOSE_PROJECT_NAME=shop\n")
    (tmp_path / "docker-compose.yml").write_text(
        "name: other\nservices:\n  a:\n    image: ${NAME}:${TAG}\n    environment: [X=$GONE, Y=$GONE]\n"
    )
    (tmp_path / "compose.override.yml").write_text("services: {}\n")
    found = translated("docker-compose.yml", base=str(tmp_path), environment={"TAG": "2"})
    assert found.images == ({"name": "from-file:2"},) and found.project == "shop"
    where = tmp_path / "docker-compose.yml"
    assert found.warnings == (
        f"{where}: {tmp_path}/compose.override.yml is not read; write what it changes into the Compose file",
        f"{where}:5: services.a.environment[0]: the variable GONE is not set, and is taken as empty",
    )


@pytest.mark.parametrize(
    ("directory", "text", "name"),
    [
        ("My App_1", "", "myapp_1"),
        ("_-x", "", "x"),
        ("x", "name: ${N:-given}\n", "given"),
    ],
)
def test_the_name_of_a_project(tmp_path: Path, directory: str, text: str, name: str) -> None:
    (tmp_path / directory).mkdir()
    (tmp_path / directory / "compose.yml").write_text(text + "services: {a: {image: x}}\n")
    assert translated(str(tmp_path / directory), environment={}).project == name


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    cases = {"": "none of compose.yaml", "gone.yml": "cannot be read on the controller: No such file"}
    (tmp_path / "latin.yml").write_bytes(b"a: 1\nb: \xe9\n")
    (tmp_path / "large.yml").write_bytes(b"#" * (1 << 20) + b"\na: 1\n")
    cases.update({"latin.yml": "latin.yml:2: is not UTF-8", "large.yml": "has more than 1048576 bytes"})
    for name, message in cases.items():
        with pytest.raises(ComposeError, match=message):
            translated(str(tmp_path / name), environment={})
    with pytest.raises(ComposeError, match="is not a regular file"):
        translated("/dev/null", environment={})


def test_quantities() -> None:
    times = {"30s": 30, "1m30s": 90, "1.5h": 5400, "0": 0, "10": None, "": None, "5x": None, "-1s": None}
    assert {text: quantities.nanoseconds(text) for text in times} == {
        text: None if seconds is None else seconds * 10**9 for text, seconds in times.items()
    }
    assert quantities.nanoseconds("2us") == 2000 and quantities.nanoseconds("1h2m3s4ms") == 3_723_004_000_000
    sizes = {"1024": 1024, "2k": 2048, "2KB": 2048, "1.5g": 3 << 29, "1gib": 1 << 30, "1b": 1, "x": None, "-1": None}
    assert {text: quantities.size(text) for text in sizes} == sizes
    assert quantities.weight_of_shares(1024) == 39 and quantities.weight_of_shares(2) == 1
    assert quantities.weight_of_shares(262144) == 10000 and quantities.weight_of_blkio(1000) == 10000
