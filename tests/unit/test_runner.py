# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner tells whatever a resource raises, and never ends in a traceback of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.barekernel.containers.plugins.module_utils._image.errors import ImageError
from ansible_collections.barekernel.containers.plugins.module_utils._module import runner


class Failing:
    name = "failing"
    needs_root = False

    def desired(self, params: Any) -> None:
        raise ImageError("blob x is damaged", "Run oci_image with verify")

    gather = desired


@pytest.mark.parametrize("run", [runner.run, runner.run_info])
def test_an_image_error_is_a_failure(run: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": {}}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        run(Failing(), argument_spec={})
    answer = json.loads(capsys.readouterr().out)
    assert answer["failed"] and answer["msg"] == "blob x is damaged. Run oci_image with verify"
