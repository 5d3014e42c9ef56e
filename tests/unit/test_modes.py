# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modes mean what they mean to Ansible's own file modules."""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.barekernel.containers.plugins.module_utils._core.errors import OptionError
from ansible_collections.barekernel.containers.plugins.module_utils._core.modes import parse_mode
from ansible_collections.barekernel.containers.plugins.module_utils._kernel.file_mode import mode_after

from tests import collection


@pytest.mark.parametrize(
    ("written", "bits"),
    [("0644", 0o644), ("'0644'", 0o644), ("'644'", 0o644), ("0o644", 0o644), ("'01777'", 0o1777), ("420", 0o644)],
)
def test_as_yaml_hands_them_on(written: str, bits: int) -> None:
    assert parse_mode("mode", yaml.safe_load(written)) == bits


@pytest.mark.parametrize(
    "value", [True, None, "", "9", "rwx", "u=q", "07778", "0x1ff", -1, 0o10000, "77777", 1.5, [], "u=rw;"]
)
def test_what_is_no_mode(value: Any) -> None:
    with pytest.raises(OptionError, match="^mode: "):
        parse_mode("mode", value)


SYMBOLS = [
    *(
        "u=rwx,g=rx,o=",
        "u=rw,go=r",
        "a=rX",
        "+x",
        "go-w",
        "u+s",
        "g+s",
        "+t",
        "o=u",
        "g=u-w",
        "ug=rw,o-rwx",
        "=",
        "a=,u=r",
    ),
    *("u=g", "a+X", "u=rwx,g=u,o=g", "u-s,g-s", "o+t", "=rx", "u=x-r+w"),
]


@pytest.mark.parametrize("symbols", SYMBOLS)
@pytest.mark.parametrize("base", [0o644, 0o755, 0o640, 0o6751, 0o1777, 0])
@pytest.mark.parametrize("kind", [0o040000, 0o100000])
def test_symbols_as_ansible_reads_them(symbols: str, base: int, kind: int) -> None:
    class Status:
        st_mode = kind | base

    before = os.umask(0)  # Ansible takes what an umask forbids from a clause that names nobody
    try:
        wanted = AnsibleModule._symbolic_mode_to_octal(Status(), symbols)
    finally:
        os.umask(before)
    assert mode_after(parse_mode("mode", symbols), base, kind == 0o040000) == wanted


def test_every_option_called_mode_takes_them_raw() -> None:
    """As text, 0644 without quotes would be the three digits 420."""
    found = []

    def walk(spec: dict[str, Any], where: str) -> None:
        for name, option in spec.items():
            if name == "mode":
                found.append((where, option["type"]))
            walk(option.get("options") or {}, f"{where}.{name}")

    for module in [*collection.changing_modules(), *collection.info_modules()]:
        walk(collection.module_arguments(module)["argument_spec"], module)
    assert found and {kind for _where, kind in found} == {"raw"}
