# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd values that are taken are also observed and planned with, on a kernel that refuses to be changed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import fuzz

from .cases import CASES, Case
from .module_process import HOST_PYTHON, environment

#: The first case of each module.
FIRST: dict[str, Case] = {}
for _case in CASES:
    FIRST.setdefault(_case.module, _case)
#: Sets of options a module: they are looked at one after the other, each in tens of milliseconds.
MOST = 60


def taken(module: str, base: dict[str, Any]) -> list[dict[str, Any]]:
    """Options with one odd value that Ansible and the resource take, evenly spread over all of them."""
    odd = (params for _option, _value, params in fuzz.odd_one_out(module, [base]))
    # An image without a source of its own is asked of a registry.
    sound = [params for params in odd if fuzz.meant(module, params) and ("build" not in base or params["build"])]
    return sound[:: max(1, len(sound) // MOST)]


@pytest.mark.parametrize("module", sorted(FIRST))
def test_what_is_taken_can_be_planned(module: str, tmp_path: Path) -> None:
    case = FIRST[module]
    with case.around(tmp_path):
        base = json.loads(json.dumps(case.create).replace("{tmp}", str(tmp_path)))
        requests = taken(module, base)
        assert len(requests) >= MOST // 4
        done = subprocess.run(
            [HOST_PYTHON, "-B", "-W", "ignore", str(Path(__file__).with_name("plan_process.py")), module],
            input=json.dumps(requests),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env=environment(),
        )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == len(requests), done.stderr
    assert [(fuzz.shown(params), wrong) for params, wrong in zip(requests, said) if wrong] == []
